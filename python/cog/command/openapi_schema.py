"""Prints the OpenAPI document of a model: ``python3 -m cog.command.openapi_schema [--run]
[FILE:NAME [TRAIN_FILE:NAME]]``.

Without arguments it becomes ``coggo-server schema``, because only the server reads ``cog.yaml``,
``$COG_PREDICT_TYPE_STUB`` and ``$COG_TRAIN_TYPE_STUB``. That command runs this one with the names
of the model in the current directory, and with ``--run`` if ``cog.yaml`` names the predictor as
``run``.
"""

from __future__ import annotations

import json
import os
import sys

from cog.errors import LoadError
from cog.internal.contract.exception_text import trace
from cog.internal.contract.loader import load
from cog.server.http import become

_USAGE = "usage: python3 -m cog.command.openapi_schema [--run] [FILE:NAME [TRAIN_FILE:NAME]]"


def main(argv: list[str]) -> int:
    """Print the document on standard output, and nothing else. Returns the exit status."""
    named = "run" if argv[:1] == ["--run"] else "predict"
    if named == "run":
        argv = argv[1:]
    if len(argv) > 2 or any(word.startswith("-") for word in argv):
        print(_USAGE, file=sys.stderr)
        return 0 if argv in (["-h"], ["--help"]) else 2
    if not argv:
        become(["schema", "--python", sys.executable])
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # so that the model's own prints do not mix with the document
    try:
        document = load(argv[0], argv[1] if len(argv) > 1 else None, named=named).openapi()
    except LoadError as error:
        print(error, file=sys.stderr)
        return 1
    except BaseException as error:  # an exception of the model's own code, at import
        print(trace(error), file=sys.stderr, end="")
        return 1
    with out:
        json.dump(document, out, indent=2, ensure_ascii=False)
        out.write("\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
