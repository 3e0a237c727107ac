import sys
from typing import Any
from cog import BasePredictor, current_scope


def deep(levels, inner="end"):
    for _ in range(levels):
        inner = [inner]
    return inner


class Predictor(BasePredictor):
    def predict(self, code: str) -> Any:
        return eval(code)
