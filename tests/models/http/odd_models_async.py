import enum
from typing import List, Optional
from cog import BasePredictor, File, Input, Path, Secret


class Name(str):
    pass


class Shade(str, enum.Enum):
    DARK = "dark"


class Predictor(BasePredictor):
    async def setup(self):
        print("in setup")

    async def predict(
        self,
        seed: int = Input(default=-1, ge=0),
        empty: int = Input(default=""),
        style: str = Input(default="none", choices=["a", "b"]),
        flag: str = True,
        image: Path = Input(default=""),
        xs: List[int] = [1, "two"],
        size: int = Input(default=2, choices=[1, 2, 3], ge=2),
        word: str = Input(default="ab", choices=["ab", "abc"], max_length=2),
        switch: bool = Input(default=True, ge=0, le=1, max_length=3),
        anything: str = Input(default="x", choices=[]),
        name: str = Input(default=Name("n"), choices=[Name("n"), Name("m")]),
        key: Secret = 4711,
        link: str = Input(default="", accept="image/*"),
        limit: float = float("inf"),
    ) -> dict:
        found = {k: v for k, v in locals().items() if k != "self"}
        xs.append(0)
        return {k: f"{type(v).__name__} {v!r}" for k, v in found.items()}
