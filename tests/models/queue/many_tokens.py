"""Yields tokens at a steady pace, many predictions at once. Each token names its run."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator

from cog import BasePredictor, streaming


class Predictor(BasePredictor):
    @streaming
    async def predict(self, n: int = 100, pause: float = 0.02) -> AsyncIterator[str]:
        run, begin = uuid.uuid4().hex[:8], time.monotonic()
        for i in range(n):
            yield f"{run}.{i} "
            await asyncio.sleep(max(0.0, begin + (i + 1) * pause - time.monotonic()))
