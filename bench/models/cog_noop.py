"""The model that does nothing, in a file that imports nothing: a cold start is not to measure
asyncio.
"""

from cog import BasePredictor


class Noop(BasePredictor):
    def predict(self, name: str) -> str:
        return "hello " + name
