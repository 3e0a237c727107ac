"""Private implementation; not part of the public API.

The server starts the runner by ``python3 -m`` in the directory of the model. Python then searches
that directory first, so a file of the model called ``json.py`` would replace the standard module.
Therefore this package removes the directory from ``sys.path`` until the model is imported, see
`cog.internal.contract.search`.
"""

import os
import sys

if sys.argv[:1] == ["-m"] and sys.path[:1] == [os.getcwd()]:
    del sys.path[0]
