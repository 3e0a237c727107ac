"""The model of Coggo's workers."""

from work import work

from cog import BasePredictor


class Model(BasePredictor):
    def predict(self, name: str, seconds: float = 0.0) -> str:
        return work(name, seconds)
