"""What is no API.

Started by ``python3 -m`` in the directory of a model: Python looks there first then, and a file of
the model called ``json.py`` would be taken for the standard module. It is left out until the model
is imported, see `cog.internal.contract.search`.
"""

import os
import sys

if sys.argv[:1] == ["-m"] and sys.path[:1] == [os.getcwd()]:
    del sys.path[0]
