import asyncio
import os, time
from typing import Any
from cog import BasePredictor


class Predictor(BasePredictor):
    def setup(self):
        self.runs = 0

    async def predict(self, s: float = 0, value: Any = None) -> str:
        self.runs += 1
        print("begun", flush=True)
        await asyncio.sleep(s)
        return f"run {self.runs}"
