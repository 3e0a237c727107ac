"""The model that does nothing, for many predictions at once."""

from __future__ import annotations

from cog import BasePredictor, batch


class Batched(BasePredictor):
    @batch(max_size=16, max_wait_ms=5)
    def predict(self, name: list[str]) -> list[str]:
        return ["hello " + n for n in name]
