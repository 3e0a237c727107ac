import time
from typing import AsyncIterator
from cog import BasePredictor, concurrent, streaming
import pathlib


class Predictor(BasePredictor):
    @concurrent(max=4)
    @streaming
    async def predict(self, n: int = 2, gate: str = "") -> AsyncIterator[str]:
        for i in range(n):
            yield f"{gate}{i}"
            while gate and not pathlib.Path(f"{gate}{i}").exists():
                time.sleep(0.01)  # holds the loop, as a model that computes does
