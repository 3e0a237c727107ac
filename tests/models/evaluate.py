"""Returns the value of a Python expression, with names for everything that a test may return."""

import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import io
import os
import pathlib
import tempfile
import types
import uuid
from typing import Any, NamedTuple

from cog import BaseModel, Path, Secret


class Color(enum.Enum):
    RED = "red"
    FILE = pathlib.PurePosixPath("evaluate.py")
    PAIR = (1, "a")


class Size(str, enum.Enum):
    BIG = "big"


class Level(enum.IntEnum):
    HIGH = 3


class Text(str):
    def __str__(self) -> str:
        return "not me"


class Whole(int):
    def __repr__(self) -> str:
        return "not me"


class Point(NamedTuple):
    x: int
    y: int


@dataclasses.dataclass
class Box:
    label: str
    where: Any = None


class Result(BaseModel):
    score: float
    note: Any = None


class Pydantic:
    """Has the interface of a model of pydantic 2."""

    model_fields = {"a": None}

    def model_dump(self) -> dict[str, Any]:
        return {"a": 1}


class Slots:
    __slots__ = ("a",)


def write(name: str, data: str = "contents") -> str:
    """Make a file of this run in a temporary directory; its path."""
    path = os.path.join(tempfile.mkdtemp(), name)
    with open(path, "w") as out:
        out.write(data)
    return path


def at_start(stream: Any, data: Any) -> Any:
    """A file after a write, without a rewind."""
    stream.write(data)
    return stream


def fifo() -> pathlib.Path:
    path = pathlib.Path(tempfile.mkdtemp(), "pipe")
    os.mkfifo(path)
    return path


def nested(depth: int, value: Any = 0) -> Any:
    for _ in range(depth):
        value = [value]
    return value


_NAMES = {
    **globals(),
    **{m.__name__: m for m in (collections, fractions, io, types, uuid, datetime, decimal)},
    "Path": Path,
}
_NAMES["Secret"] = Secret


def predict(code: str) -> Any:
    return eval(code, dict(_NAMES))


async def predict_async(code: str) -> Any:
    return eval(code, dict(_NAMES))
