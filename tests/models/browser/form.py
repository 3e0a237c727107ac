from typing import Any, Dict, List, Literal, Optional, Union
from cog import BaseModel, BasePredictor, Input, Path, Secret


class Box(BaseModel):
    width: int
    height: int = 1


class Predictor(BasePredictor):
    def predict(
        self,
        some_text: str = Input(description="What to draw", min_length=1, max_length=1000),
        short: str = Input(default="", max_length=1),
        code: str = Input(default="abc", min_length=3, max_length=3, regex="^[a-z]+$"),
        whole: int = Input(default=3, ge=1, le=9),
        real: float = Input(default=1, ge=0),
        flag: bool = True,
        seed: Optional[int] = None,
        style: str = Input(default="oil", choices=["oil", "ink"]),
        size: Literal["auto", 512, None] = None,
        image: Optional[Path] = Input(default=None, accept="image/*"),
        notes: Optional[Path] = Input(default=None, accept=".txt,.md"),
        either: Union[Path, str] = "x",
        secret: Secret = Input(default=None),
        more: List[Path] = Input(default=[], max_length=2, accept="image/*,.txt"),
        tags: List[str] = Input(default=["a"], min_length=1, max_length=9),
        counts: List[int] = Input(default=[3], ge=1, le=9),
        box: Box = Input(default=Box(width=3)),
        must: Box = Input(),
        weights: Dict[str, float] = Input(default={}),
        anything: Any = None,
    ) -> dict:
        """Reads what it is given.

        And <b>tells</b> about it.
        """
        return {
            "image": image and image.read_text(),
            "notes": notes and notes.read_text(),
            "more": [path.read_text() for path in more],
        }
