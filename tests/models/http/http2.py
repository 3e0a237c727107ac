import pathlib, time
from typing import Iterator
from cog import BasePredictor, streaming


class Predictor(BasePredictor):
    @streaming
    def predict(self, n: int = 2, s: float = 0, text: str = "", wait: str = "") -> Iterator[str]:
        for i in range(n):
            yield f"{i}{text}"
        time.sleep(s)
        while wait and not pathlib.Path(wait).exists():
            time.sleep(0.01)

    def train(self) -> str:
        return "trained"
