import enum
from typing import Annotated, Dict, List, Literal, NewType, Optional, Union
from cog import BasePredictor, File, Input, Opaque, Path, Secret


class Shade(str, enum.Enum):
    DARK = "dark"
    LIGHT = "light"


class Level(enum.IntEnum):
    LOW = 1


Width = NewType("Width", int)


class Predictor_: ...


class Predictor(BasePredictor):
    def predict(
        self,
        off: bool = Input(default=0),
        on: bool = 1,
        n: int = Input(default=1e3),
        x: float = 1,
        m: int = "3",
        ns: List[int] = [1.0, "2"],
        table: Dict[str, int] = {"a": 1.0},
        shade: Shade = "dark",
        shades: List[Shade] = ["dark"],
        plain: str = Shade.DARK,
        level: int = Level.LOW,
        key: Secret = "hush",
        file: Path = "a/b.txt",
        files: List[Path] = ["a/b.txt"],
        text: File = "notes.txt",
        nobody: Secret = Input(default=None),
        mode: Literal["fast", "good", None] = None,
        size: Literal["auto", 512] = "auto",
        steps: Annotated[int, Input(ge=1, le=9)] = 3,
        width: Width = 2,
        number: Union[int, float] = Input(default=1, ge=0),
        deep: List[List[int]] = Input(default=[], ge=0),
        opaque: Annotated[List[Predictor_], Opaque] = [],
    ) -> dict:
        found = {k: v for k, v in locals().items() if k != "self"}
        found["text"] = text.read()
        return {k: f"{type(v).__name__} {v!r}" for k, v in found.items()}
