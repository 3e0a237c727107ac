"""Makes ``python3 -m coggo`` the command ``coggo-server``.

The server runs the model in this interpreter, unless ``--python`` or ``$COGGO_PYTHON`` names
another.
"""

from __future__ import annotations

import os
import sys

from cog.server.http import become

if __name__ == "__main__":
    os.environ["COGGO_PYTHON"] = os.environ.get("COGGO_PYTHON") or sys.executable
    become(sys.argv[1:])
