"""Matrix statistics: numpy values in the output."""

from typing import Any

import numpy as np

from cog import BasePredictor, Input


class Predictor(BasePredictor):
    def setup(self) -> None:
        self.generator = np.random.RandomState(7)
        self.matrix = self.generator.rand(4, 4).astype(np.float32)

    def predict(
        self,
        scale: float = Input(default=2.0, ge=-10, le=10),
        rows: int = Input(default=2, ge=1, le=4),
    ) -> Any:
        part = self.matrix[:rows] * scale
        return {
            "mean": np.float64(part.mean()).round(6),
            "count": np.int64(part.size),
            "rounded": np.round(part.astype(np.float64), 3),
            "positive": bool((part > 0).all()),
            "none": None,
        }
