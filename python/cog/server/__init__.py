"""What earlier releases had here, and the command ``python3 -m cog.server.http``."""

from cog import internal as internal  # before anything that a file of the model could stand in for
