import asyncio, contextvars, sys, threading
from cog import BasePredictor


class Predictor(BasePredictor):
    async def predict(self, name: str, lines: int = 200, end: str = "") -> str:
        for i in range(lines):
            print(name, i)
            print(name, i, file=sys.stderr)
            await asyncio.sleep(0)
        await asyncio.to_thread(print, name, "in a thread")
        if end == "raise":
            raise ValueError(name)
        if end == "hang":
            await asyncio.sleep(60)
        print(name, "tail", end="")
        return name
