"""Models that yield the time of each yield, in nanoseconds since the epoch. See bench/stream."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

from cog import BasePredictor, streaming


class Sync(BasePredictor):
    @streaming
    def predict(self, count: int = 1000, pause: float = 0.0) -> Iterator[str]:
        for _ in range(count):
            yield str(time.time_ns())
            if pause:
                time.sleep(pause)


class Async(BasePredictor):
    @streaming
    async def predict(self, count: int = 1000, pause: float = 0.0) -> AsyncIterator[str]:
        for _ in range(count):
            yield str(time.time_ns())
            if pause:
                await asyncio.sleep(pause)
