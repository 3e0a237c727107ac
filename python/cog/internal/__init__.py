"""Private implementation; not part of the public API.

The server starts Python so that it does not search the directory of the model, where a file called
``json.py`` would replace the standard module (internal/runner). ``python3 -m``, typed there, does
search it. Therefore this package removes the directory from ``sys.path`` until the model is
imported, see `cog.internal.contract.search`.
"""

import os
import sys

if sys.argv[:1] == ["-m"] and sys.path[:1] == [os.getcwd()]:
    del sys.path[0]

if os.environ.get("PYTHONSAFEPATH") == "coggo":
    del os.environ["PYTHONSAFEPATH"]  # the server's, which processes of the model must not inherit
