import asyncio, pathlib
from cog import BasePredictor


class Predictor(BasePredictor):
    async def predict(self, until: str) -> str:
        while not pathlib.Path(until).exists():
            await asyncio.sleep(0.005)
        return "old"
