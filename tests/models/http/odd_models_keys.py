import enum
from typing import Dict, Iterator
from cog import BaseModel, BasePredictor


class Shade(str, enum.Enum):
    DARK = "dark"


class Out(BaseModel):
    scores: Dict[int, float]
    shades: Dict[Shade, Dict[bool, int]]


class Predictor(BasePredictor):
    def predict(self, bad: bool = False) -> Iterator[Out]:
        yield Out(scores={1: 1, 20: "x" if bad else 0.5}, shades={Shade.DARK: {True: 1}})
