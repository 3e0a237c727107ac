"""Commands for a model: ``python3 -m cog.command.NAME``."""

from cog import internal as internal  # before anything that a file of the model could stand in for
