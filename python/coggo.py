"""``python3 -m coggo`` is the command ``coggo-server``.

The model runs in this interpreter, unless another is named.
"""

from __future__ import annotations

import os
import sys

from cog.server.http import become

if __name__ == "__main__":
    os.environ["COGGO_PYTHON"] = os.environ.get("COGGO_PYTHON") or sys.executable
    become(sys.argv[1:])
