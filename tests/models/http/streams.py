import sys, threading, time
from typing import Iterator
from cog import BasePredictor, current_scope, streaming


class Predictor(BasePredictor):
    def setup(self):
        import pathlib

        self.go = pathlib.Path("go")

    @streaming
    def predict(self, n: int = 3, end: str = "", wait: str = "", size: int = 1) -> Iterator[str]:
        print("out")
        print("err", file=sys.stderr)
        current_scope().record_metric("tokens", n)
        for i in range(n):
            yield str(i) * size
        while wait and not (self.go.parent / wait).exists():
            time.sleep(0.01)
        if end == "raise":
            raise ValueError("boom")
        if end == "hang":
            time.sleep(60)
        if end == "more":
            yield "last"

    def train(self, n: int = 1) -> str:
        return "trained"
