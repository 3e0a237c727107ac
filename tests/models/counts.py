"""A model that returns the number of its runs."""

import time


class Predictor:
    def setup(self):
        self.runs = 0

    def predict(self, s: float = 0) -> int:
        time.sleep(s)
        self.runs += 1
        return self.runs
