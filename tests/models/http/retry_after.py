import pathlib, time
from cog import BasePredictor, ConcatenateIterator, streaming

here = pathlib.Path(__file__).parent


class Predictor(BasePredictor):
    def setup(self):
        while (here / "hold").exists():
            time.sleep(0.02)

    def healthcheck(self):
        return not (here / "sick").exists()

    @streaming
    def predict(self, s: float = 0) -> ConcatenateIterator[str]:
        time.sleep(s)
        yield "done"


def train(n: int = 0) -> str:
    return "trained"
