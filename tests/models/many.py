"""Models that run several predictions at once."""

import asyncio
import os

from cog import BasePredictor, concurrent

_running = 0


async def gathers(until: int) -> int:
    """Ends once ``until`` of them run at the same time."""
    global _running
    _running += 1
    while _running < until:
        await asyncio.sleep(0.005)
    return _running


async def waits_for(path: str) -> str:
    while not os.path.exists(path):
        await asyncio.sleep(0.005)
    return path


def blocks_for(path: str) -> str:
    import time

    while not os.path.exists(path):
        time.sleep(0.005)
    return path


class Marked(BasePredictor):
    @concurrent(max=2)
    async def predict(self, path: str) -> str:
        return await waits_for(path)


class WithTrain:
    """An async model with a synchronous training, which must not block the predictions."""

    async def predict(self, path: str) -> str:
        return await waits_for(path)

    def train(self, path: str) -> str:
        return blocks_for(path)
