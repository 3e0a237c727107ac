"""Yields, and logs, before a file exists and after; trains until it exists."""

import os
import time
from typing import Iterator


class Predictor:
    def predict(self, until: str) -> Iterator[str]:
        print("so far", flush=True)
        yield "one"
        wait_for(until)
        yield "two"

    def train(self, until: str) -> str:
        print("so far", flush=True)
        wait_for(until)
        return "weights"


def wait_for(path: str) -> None:
    while not os.path.exists(path):
        time.sleep(0.01)
