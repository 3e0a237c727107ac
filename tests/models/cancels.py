"""Models that take long and react to a cancel in different ways. Each writes to a file when it
begins.
"""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator

from cog import CancelationException, batch


def begun(mark: str, what: str = "begun") -> None:
    """Tell the test about the progress."""
    with open(mark, "a") as out:
        out.write(what + "\n")


def sleeps(mark: str, seconds: float = 60) -> str:
    begun(mark)
    time.sleep(seconds)
    return "slept"


def spins(mark: str) -> str:
    begun(mark)
    while True:
        pass


def cleans_up(mark: str) -> str:
    try:
        begun(mark)
        time.sleep(60)
    finally:
        begun(mark, "finally")
        time.sleep(0.2)
        begun(mark, "clean")
    return "slept"


def swallows(mark: str) -> str:
    begun(mark)
    with contextlib.suppress(CancelationException):
        time.sleep(60)
    return "went on"


def catches_exceptions(mark: str) -> str:
    begun(mark)
    with contextlib.suppress(Exception):
        time.sleep(60)
    return "went on"


def replaces(mark: str) -> str:
    begun(mark)
    try:
        time.sleep(60)
    except CancelationException:
        raise ValueError("my own error") from None
    return "slept"


def yields(mark: str) -> Iterator[int]:
    try:
        for n in range(1000):
            yield n
            begun(mark)
            time.sleep(60 if n == 2 else 0)
    finally:
        begun(mark, "finally")


class OwnHandler:
    def setup(self) -> None:
        self.handled: list[int] = []
        signal.signal(signal.SIGUSR1, lambda number, _: self.handled.append(number))

    def predict(self, mark: str, seconds: float = 60) -> str:
        begun(mark)
        time.sleep(seconds)
        return "slept"


def awaits_inside(mark: str) -> str:
    async def wait() -> str:
        begun(mark)
        await asyncio.sleep(60)
        return "slept"

    return asyncio.run(wait())


async def async_sleeps(mark: str, seconds: float = 60) -> str:
    begun(mark)
    await asyncio.sleep(seconds)
    return "slept"


async def async_cleans_up(mark: str) -> str:
    try:
        begun(mark)
        await asyncio.sleep(60)
    finally:
        begun(mark, "finally")
        await asyncio.sleep(0.2)
        begun(mark, "clean")
    return "slept"


async def async_swallows(mark: str) -> str:
    begun(mark)
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.sleep(60)
    return "went on"


async def async_yields(mark: str) -> AsyncIterator[int]:
    try:
        for n in range(3):
            yield n
        begun(mark)
        await asyncio.sleep(60)
    finally:
        begun(mark, "finally")


def returns_async(mark: str) -> AsyncIterator[int]:
    return async_yields(mark)


def listed(mark: str) -> list[int]:
    """A generator whose output is a list."""
    return (begun(mark) or time.sleep(20) or n for n in range(3))


async def async_blocks(mark: str) -> str:
    """Blocks the loop until the test lets it continue."""
    begun(mark)
    while not os.path.exists(mark + ".go"):
        time.sleep(0.005)
    return "went on"


@batch(max_size=4)
def batched(mark: list[str]) -> list[str]:
    for one in mark:
        begun(one)
    return ["answered"] * len(mark)
