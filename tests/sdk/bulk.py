"""Loads many models in one interpreter and prints the result of each as JSON.

Read from standard input: ``{title: {"files": {name: text}, "ref": FILE:NAME, "train": FILE:NAME or
null}}``.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from typing import Any


def evaluate(case: Any) -> dict[str, Any]:
    """The document of one model, or its error."""
    from cog.errors import LoadError
    from cog.internal.contract.exception_text import trace
    from cog.internal.contract.loader import load

    try:
        model = load(case["ref"], case["train"])
        document = model.openapi()
        json.dumps(document, allow_nan=False)
        return {"document": document, "warnings": model.warnings}
    except LoadError as error:
        return {"refused": str(error)}
    except BaseException as error:
        return {"raised": trace(error)}


def alone(case: Any) -> dict[str, Any]:
    """Evaluate a model in its own directory, and remove its modules from sys.modules."""
    modules, path, here = set(sys.modules), list(sys.path), os.getcwd()
    with tempfile.TemporaryDirectory() as directory:
        for name, text in case["files"].items():
            os.makedirs(os.path.join(directory, os.path.dirname(name)), exist_ok=True)
            with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
                file.write(text)
        os.chdir(directory)
        try:
            return evaluate(case)
        finally:
            os.chdir(here)
            sys.path[:] = path
            for name in set(sys.modules) - modules:
                file_of = getattr(sys.modules[name], "__file__", None) or ""
                if file_of.startswith((os.path.realpath(directory), directory)):
                    del sys.modules[name]


def main() -> None:
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.dont_write_bytecode = True
    with out:
        out.write(json.dumps({title: alone(case) for title, case in json.load(sys.stdin).items()}))


if __name__ == "__main__":
    main()
