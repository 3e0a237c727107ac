from typing import Dict, List, Optional
from cog import BaseModel, BasePredictor, Path


class Box(BaseModel):
    x: float
    label: str


class Output(BaseModel):
    text: str
    boxes: List[Box]
    best: Optional[Box]
    picture: Path
    right: bool


class Predictor(BasePredictor):
    def predict(self, box: Box, n: int = 1) -> Output:
        return None

    def train(self, data: Path, steps: int = 5) -> List[Path]:
        return []

    def healthcheck(self):
        return True
