"""Answers with its name: ``answers`` of queue_harness puts that, and the name of the only input."""

import os
import time


class Predictor:
    def predict(self, FIELD: str = "", until: str = "") -> str:
        while until and not os.path.exists(until):
            time.sleep(0.01)
        return "LABEL " + FIELD
