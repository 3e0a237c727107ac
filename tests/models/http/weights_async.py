import os
from typing import Optional
from cog import BasePredictor, Path


class Predictor(BasePredictor):
    def setup(self, weights: Optional[Path] = None) -> None:
        self.weights = weights
        if os.environ.get("READS"):
            self.read()

    def read(self):
        with open(self.weights) as file:
            return file.read()

    async def predict(self, what: str = "url") -> str:
        return str(self.weights) if what == "url" else self.read()
