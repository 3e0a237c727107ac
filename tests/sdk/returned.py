"""Runs methods with declared outputs in one interpreter and prints what would be answered.

Read from standard input: ``[[annotation, expression], ...]``; printed: the JSON text of each
output, or ``!`` and the error.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from typing import Any

HEADER = """
import collections, dataclasses, datetime, decimal, enum, io, pathlib, uuid
from typing import *
from cog import BaseModel, BasePredictor, ConcatenateIterator, File, Path, Secret

class Shade(str, enum.Enum):
    DARK = "dark"
class Level(enum.IntEnum):
    HIGH = 3
class Plain(enum.Enum):
    A = "a"
@dataclasses.dataclass
class Box:
    x: int
    tags: List[str] = dataclasses.field(default_factory=list)
@dataclasses.dataclass
class Tree:
    box: Box
    key: Secret = Secret("hush")
class Item(BaseModel):
    score: float
    label: Optional[str]
    tags: List[str] = []
class Nested(BaseModel):
    item: Item
    many: Dict[str, Item] = {}
@dataclasses.dataclass
class Decorated(BaseModel):
    file: Path
    score: float = 0.5
    tags: List[str] = dataclasses.field(default_factory=list)
class Corners(BaseModel):
    first: Tuple[float, float]
    last: Tuple[float, float] = None
class Lax(BaseModel):
    text: str = None
class Message(TypedDict):
    role: str
    n: int
class Pair(NamedTuple):
    x: int
    y: int
def numbers():
    yield 1
    yield 2
def loop():
    a = []
    a.append({"again": a})
    return a
def deep(n):
    value = 0
    for _ in range(n):
        value = [value]
    return value
"""

#: What is there only where the model's own requirements are installed.
RICH = """
import warnings
import numpy as np
import pydantic
import pydantic.v1
class New(pydantic.BaseModel):
    x: int
    file: Optional[Path] = None
    model_config = {"arbitrary_types_allowed": True}
class Old(pydantic.v1.BaseModel):
    x: int
    many: List[str] = []
class Outer(pydantic.BaseModel):
    inner: New
    key: pydantic.SecretStr = pydantic.SecretStr("hush")
"""


def answer(directory: str, number: int, annotation: str, expression: str) -> str:
    """What the runner would write for one method."""
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
