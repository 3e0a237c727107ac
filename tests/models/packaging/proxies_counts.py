import os
import pathlib
import time

from cog import BasePredictor


class Predictor(BasePredictor):
    def predict(self, runs: str, go: str = "/") -> str:
        with open(runs, "a") as f:
            f.write("run\n")
        while not pathlib.Path(go).exists():
            time.sleep(0.005)
        return os.environ["SERVER"]
