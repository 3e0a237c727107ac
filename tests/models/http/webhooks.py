import os, time
from typing import Iterator
from cog import BasePredictor


class Predictor(BasePredictor):
    def predict(self, n: int = 3, pause: float = 0.0, end: str = "") -> Iterator[str]:
        for i in range(n):
            print("line", i)
            yield str(i)
            time.sleep(pause)
        if end == "raise":
            raise ValueError("boom")
        if end == "die":
            os.kill(os.getpid(), 9)
