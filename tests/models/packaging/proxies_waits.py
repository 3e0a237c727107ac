import pathlib
import time

from cog import BasePredictor, ConcatenateIterator, streaming


class Predictor(BasePredictor):
    @streaming
    def predict(self, go: str) -> ConcatenateIterator[str]:
        yield "first"
        while not pathlib.Path(go).exists():
            time.sleep(0.005)
        yield "last"
