"""Modules that earlier releases of Cog had here, and the command ``python3 -m cog.server.http``."""

# Imported before any module that a file of the model could replace.
from cog import internal as internal
