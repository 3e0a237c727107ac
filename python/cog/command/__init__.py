"""Commands for a model: ``python3 -m cog.command.NAME``."""

# Imported before any module that a file of the model could replace.
from cog import internal as internal
