import time
from typing import Optional
from cog import BaseModel, BasePredictor, Input, Path, current_scope


class TrainingOutput(BaseModel):
    weights: Path
    loss: float
    note: Optional[str]


class Predictor(BasePredictor):
    def predict(self, n: int = 1, wait: bool = False) -> str:
        while wait:
            time.sleep(0.01)
        return "predicted"


def train(
    data: Path = Input(description="Examples", default=None),
    steps: int = Input(default=2, ge=1, le=9),
    mode: str = Input(default="good", choices=["good", "bad", "endless"]),
) -> TrainingOutput:
    for step in range(steps):
        print("step", step)
    if mode == "bad":
        raise ValueError("diverged")
    while mode == "endless":
        time.sleep(0.01)
    current_scope().record_metric("steps", steps)
    with open("weights.txt", "w") as out:
        out.write(data.read_text() if data else "none")
    return TrainingOutput(weights="weights.txt", loss=steps)
