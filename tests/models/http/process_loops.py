import asyncio
from cog import BasePredictor


async def fetch():
    await asyncio.sleep(0)
    return "weights"


class Predictor(BasePredictor):
    def setup(self):
        self.weights = self.fetched()
        self.lock = asyncio.Lock()

    def fetched(self):
        {how}

    async def predict(self) -> str:
        async with self.lock:
            await asyncio.sleep(0)
        return self.weights if isinstance(self.weights, str) else await self.weights
