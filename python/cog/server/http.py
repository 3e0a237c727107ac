"""Starts the server. ``python3 -m cog.server.http`` is the command of images that were built for
Cog.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn


def find_server() -> str | None:
    """Return the path of the ``coggo-server`` of this checkout or installation, or None."""
    import shutil

    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    beside = os.path.join(os.path.dirname(os.path.dirname(package)), "bin", "coggo-server")
    installed = os.path.join(os.path.dirname(sys.executable), "coggo-server")
    for path in (beside, installed):
        if os.access(path, os.X_OK):
            return path
    return shutil.which("coggo-server")


def become(argv: list[str]) -> NoReturn:
    """Replace this process with the server's binary. Exits with a message if it is not
    installed.
    """
    server = find_server()
    if server is None:
        sys.exit(
            "coggo-server is not installed: build it with make build, or install the coggo wheel"
        )
    os.execv(server, [server, *argv])


def main(argv: list[str]) -> NoReturn:
    """Serve the model of the current directory, in this Python. Takes the server's flags, which
    include Cog's.
    """
    words = ["--version" if word == "-v" else word for word in argv]
    become(["--python", sys.executable, *words])


if __name__ == "__main__":
    main(sys.argv[1:])
