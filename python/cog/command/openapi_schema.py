"""Prints the OpenAPI document of a model: ``python3 -m cog.command.openapi_schema [FILE:NAME]``.

Without an argument the predictor is the one that ``cog.yaml`` in the current directory names.
"""

from __future__ import annotations

import json
import os
import re
import sys

from cog.errors import LoadError
from cog.internal.endings import trace
from cog.internal.loader import load


def predictor_in(path: str) -> str | None:
    """The value of ``predict`` or ``run`` in a cog.yaml. It is a plain text on one line in every model, so that no YAML
    parser is needed, which the standard library does not have."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except FileNotFoundError:
        return None
    for key in ("predict", "run"):
        found = re.search(rf"""^["']?{key}["']?\s*:\s*["']?([^"'#\n]+?)["']?\s*(#.*)?$""", text, re.MULTILINE)
        if found:
            return found.group(1)
    return None


def main(argv: list[str]) -> int:
    """Print the document on standard output, and nothing else there; returns the exit status."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what the model prints when it is imported is for people
    ref = argv[0] if argv else predictor_in("cog.yaml")
    if ref is None:
        print("no predictor: write predict: FILE:NAME in cog.yaml, or name it as the argument", file=sys.stderr)
        return 2
    try:
        document = load(ref).openapi()
    except LoadError as error:
        print(error, file=sys.stderr)
        return 1
    except BaseException as error:  # the model's own, at import
        print(trace(error), file=sys.stderr, end="")
        return 1
    with out:
        json.dump(document, out, indent=2, ensure_ascii=False)
        out.write("\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
