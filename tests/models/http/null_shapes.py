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


def shown(given) -> str:
    while given["gate"] and not os.path.exists(given["gate"]):
        time.sleep(0.01)
    return repr(
        {
            name: value
            for name, value in given.items()
            if value is not None and name not in ("self", "gate")
        }
    )
