import sys
from typing import Any
from cog import BasePredictor, ConcatenateIterator, Input, current_scope


class Predictor(BasePredictor):
    def predict(self, what: str = Input(default="logs"), count: int = 20_000) -> Iterator[str]:
        for i in range(count):
            if what == "logs":
                print(f"line {i} of a model that says a lot about what it does", flush=True)
            elif what == "metrics":
                current_scope().record_metric(f"m{i % 50}", i)
            elif what == "bar":
                print(f"\rdone {i} of {count}", end="", flush=True)
            else:
                yield f"word {i} "
        yield "end"
