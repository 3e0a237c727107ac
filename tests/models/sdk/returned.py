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
