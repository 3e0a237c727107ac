"""Yields, logs and records what its input says, at its own pace, until files exist."""

import os
import time
from collections.abc import Iterator

from cog import BasePredictor, current_scope, streaming


class Predictor(BasePredictor):
    @streaming
    def predict(
        self,
        name: str = "",
        n: int = 3,
        size: int = 0,
        pause: float = 0.0,
        until: str = "",
        runs: str = "",
    ) -> Iterator[str]:
        run = 0
        if runs:
            with open(runs, "a+") as file:
                file.write(f"{os.getppid()}\n")
                file.seek(0)
                run = len(file.readlines())
        for i in range(n):
            print(f"{name}{run}: item {i}", flush=True)
            current_scope().record_metric("items", i + 1)
            yield f"{name}{run}.{i} " + "x" * size
            time.sleep(pause)
        while until and not os.path.exists(until):
            time.sleep(0.01)
        yield f"{name}{run}.last"
