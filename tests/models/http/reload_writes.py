import json, pathlib, uuid
from cog import BasePredictor


class Predictor(BasePredictor):
    def setup(self):
        pathlib.Path("cache.json").write_text(uuid.uuid4().hex)
        pathlib.Path("made.py").write_text("x = 1")
        pathlib.Path("cache").mkdir(exist_ok=True)
        pathlib.Path("cache/new.py").write_text("x = 1")

    def predict(self, n: int) -> str:
        pathlib.Path("known.json").write_text(str(n))
        pathlib.Path(f"out-{n}.txt").write_text(str(n))
        pathlib.Path("out.png").write_text(str(n))
        return str(n)
