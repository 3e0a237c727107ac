import pathlib, time
from cog import BasePredictor


class Predictor(BasePredictor):
    def predict(self, until: str) -> str:
        while not pathlib.Path(until).exists():
            time.sleep(0.005)
        return "old"
