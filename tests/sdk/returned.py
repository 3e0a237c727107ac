"""Runs methods with declared outputs in one interpreter and prints their answers.

Read from standard input: ``[[annotation, expression], ...]``; printed: the JSON text of each
output, or ``!`` and the error.
"""

from __future__ import annotations

import json
import os
import pathlib
import sys
import tempfile
from typing import Any

MODELS = pathlib.Path(__file__).resolve().parents[1] / "models" / "sdk"

HEADER = (MODELS / "returned.py").read_text()

#: Names that exist only if the model's requirements are installed.
RICH = (MODELS / "returned_rich.py").read_text()


def answer(directory: str, number: int, annotation: str, expression: str) -> str:
    """The output that the runner writes for one method."""
    from cog.internal.contract.exception_text import describe
    from cog.internal.contract.loader import load
    from cog.internal.runtime.output import FileTable, encode_output

    path = os.path.join(directory, f"model{number}.py")
    write(
        path,
        f"from declared_types import *\ndef predict() -> {annotation}:\n    return {expression}\n",
    )
    try:
        method = load(f"{path}:predict").predict
        value = method.output.check(method.call({}))
        outputs = os.path.join(directory, str(number))
        os.mkdir(outputs)
        return encode_output(value, FileTable(lambda: outputs)).decode()
    except Exception as error:
        return "!" + describe(error)


def write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def main() -> None:
    rows: Any = json.load(sys.stdin)
    sys.dont_write_bytecode = True
    with tempfile.TemporaryDirectory() as directory:
        write(
            os.path.join(directory, "declared_types.py"),
            HEADER + (RICH if "rich" in sys.argv else ""),
        )
        sys.stdout.write(
            json.dumps([answer(directory, number, *row) for number, row in enumerate(rows)])
        )


if __name__ == "__main__":
    main()
