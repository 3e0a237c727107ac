"""A model whose answer is how often it has run."""

import time


class Predictor:
    def setup(self):
        self.runs = 0

    def predict(self, s: float = 0) -> int:
        time.sleep(s)
        self.runs += 1
        return self.runs
