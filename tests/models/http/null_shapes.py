import dataclasses, enum, os, time
from typing import Any, Dict, List, Literal, TypedDict, Union
from cog import BaseModel, BasePredictor, File, Input, Path, Secret


class Shade(str, enum.Enum):
    DARK = "dark"


class Message(TypedDict):
    role: str


class Inner(BaseModel):
    x: int = None
    files: List[Path] = None


@dataclasses.dataclass
class Box:
    width: int = None
    inner: Inner = dataclasses.field(default=None)
