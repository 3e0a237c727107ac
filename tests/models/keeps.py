"""Models that return their memory in MiB, without Python's garbage collector: it must not be needed
to free inputs.
"""

import gc
import os
from collections.abc import AsyncIterator, Iterator

from cog import BasePredictor, batch


def resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20


class Sync(BasePredictor):
    def setup(self) -> None:
        gc.disable()

    def predict(self, text: str) -> int:
        return resident()


class Sequence(Sync):
    def predict(self, text: str) -> Iterator[int]:
        yield resident()


class Fails(Sync):
    def predict(self, text: str) -> int:
        raise ValueError(f"{resident()} MiB")


class Async(Sync):
    async def predict(self, text: str) -> int:
        return resident()


class AsyncSequence(Sync):
    async def predict(self, text: str) -> AsyncIterator[int]:
        yield resident()


class AsyncFails(Sync):
    async def predict(self, text: str) -> int:
        raise ValueError(f"{resident()} MiB")


class Batch(Sync):
    @batch(max_size=4, max_wait_ms=1)
    def predict(self, text: list[str]) -> list[int]:
        return [resident() for _ in text]
