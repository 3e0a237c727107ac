import asyncio
from cog import BasePredictor


class Predictor(BasePredictor):
    async def setup(self):
        self.running = 0

    async def predict(self, n: int) -> int:
        self.running += 1
        while self.running < 8:
            await asyncio.sleep(0.01)
        print("I am", n)
        return n
