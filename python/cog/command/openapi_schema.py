"""Prints the OpenAPI document of a model: ``python3 -m cog.command.openapi_schema [FILE:NAME [TRAIN_FILE:NAME]]``.

Without arguments the predictor and ``train`` are those that ``$COG_PREDICT_TYPE_STUB`` and ``$COG_TRAIN_TYPE_STUB`` name, else
``cog.yaml`` in the current directory.
"""

from __future__ import annotations

import json
import os
import re
import sys

from cog.errors import LoadError
from cog.internal.endings import trace
from cog.internal.loader import load

_USAGE = "usage: python3 -m cog.command.openapi_schema [FILE:NAME [TRAIN_FILE:NAME]]"


def named_in(path: str, *keys: str) -> str | None:
    """The first of these keys in a cog.yaml. Its value is a plain text on one line in every model, so that no YAML parser is
    needed, which the standard library does not have."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except FileNotFoundError:
        return None
    for key in keys:
        found = re.search(rf"""^["']?{key}["']?\s*:\s*["']?([^"'#\n]+?)["']?\s*(#.*)?$""", text, re.MULTILINE)
        if found:
            return found.group(1)
    return None


def refs(argv: list[str]) -> tuple[str | None, str | None]:
    """The references of the predictor and of its ``train``."""
    if argv:
        return argv[0], argv[1] if len(argv) > 1 else None
    predict = os.environ.get("COG_PREDICT_TYPE_STUB") or named_in("cog.yaml", "predict", "run")
    return predict, os.environ.get("COG_TRAIN_TYPE_STUB") or named_in("cog.yaml", "train")


def main(argv: list[str]) -> int:
    """Print the document on standard output, and nothing else there; returns the exit status."""
    if len(argv) > 2 or any(word.startswith("-") for word in argv):
        print(_USAGE, file=sys.stderr)
        return 0 if argv in (["-h"], ["--help"]) else 2
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what the model prints when it is imported is for people
    predict, train = refs(argv)
    if predict is None:
        print("no predictor: write predict: FILE:NAME in cog.yaml, or name it as the argument", file=sys.stderr)
        return 2
    try:
        document = load(predict, train).openapi()
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
