import os, time
from cog import BasePredictor, Path

order = []


class Predictor(BasePredictor):
    def predict(self, name: str = "", file: Path = None, until: str = "") -> list:
        order.append(name)
        while until and not os.path.exists(until):
            time.sleep(0.005)
        return [*order, file.read_text() if file else ""]


def train(name: str = "", file: Path = None, until: str = "") -> list:
    return Predictor().predict(name, file, until)
