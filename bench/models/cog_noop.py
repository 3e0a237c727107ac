"""The model that does nothing. Its file imports only ``cog``, so that a cold start does not measure
asyncio.
"""

from cog import BasePredictor


class Noop(BasePredictor):
    def predict(self, name: str) -> str:
        return "hello " + name
