import enum
from typing import Any, Dict, List, Literal, Optional, TypedDict, Union
from cog import BasePredictor, Input, Path, Secret


class Shade(str, enum.Enum):
    DARK = "dark"
    LIGHT = "light"


class Box(TypedDict):
    x: int
    label: str


class Predictor(BasePredictor):
    def predict(
        self,
        i: int = 0,
        f: float = 0.0,
        b: bool = False,
        s: str = "",
        oi: Optional[int] = None,
        os: Optional[str] = None,
        no_default: Optional[str] = Input(),
        bounded: int = Input(default=3, ge=1, le=5),
        half: float = Input(default=0.5, ge=0, le=1),
        short: str = Input(default="ab", min_length=1, max_length=4),
        word: str = Input(default="a", regex="^[a-z]+$"),
        ahead: str = Input(default="ab", regex="^a(?=b)"),
        pick: str = Input(default="a", choices=["a", "b"]),
        num: int = Input(default=1, choices=[1, 2]),
        lit: Literal["x", "y"] = "x",
        shade: Shade = Shade.DARK,
        xs: List[int] = Input(default=[]),
        fs: List[float] = Input(default=[]),
        ws: List[str] = Input(default=[]),
        bounded_xs: List[int] = Input(default=[], ge=1, max_length=2),
        d: dict = Input(default={}),
        di: Dict[str, int] = Input(default={}),
        ds: List[dict] = Input(default=[]),
        box: Optional[Box] = None,
        u: Union[str, int] = "",
        anything: Any = None,
        file: Optional[Path] = None,
        files: Optional[List[Path]] = None,
        secret: Secret = Secret("none"),
    ) -> str:
        values = {k: v for k, v in locals().items() if k != "self"}
        return repr(
            {k: (type(v).__name__, v) for k, v in sorted(values.items()) if k in self.shown}
        )

    def setup(self):
        self.shown = (
            "i f b s oi os no_default bounded half short word ahead pick num lit shade xs fs ws bounded_xs d di ds box u anything"
        ).split()
