import asyncio, os, time
from typing import AsyncIterator
from cog import BasePredictor
import cog, cog.exceptions, cog.server.exceptions

assert (
    cog.CancelationException
    is cog.exceptions.CancelationException
    is cog.server.exceptions.CancelationException
)
assert issubclass(cog.CancelationException, BaseException) and not issubclass(
    cog.CancelationException, Exception
)


class Predictor(BasePredictor):
    async def predict(self, how: str = "quick", n: int = 2) -> AsyncIterator[str]:
        for i in range(n):
            print("item", i, flush=True)
            yield str(i)
        if how == "raise":
            raise ValueError("it fails")
        if how == "sleep":
            await asyncio.sleep(60)
        if how == "compute":
            while True:
                await asyncio.sleep(0)
        if how == "except exception":
            while True:
                try:
                    await asyncio.sleep(60)
                except Exception:
                    pass
        if how == "finally":
            try:
                await asyncio.sleep(60)
            finally:
                print("cleaned up")
        if how == "named":
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                print("canceled by name")
                raise
        if how == "swallow":
            try:
                await asyncio.sleep(60)
            except BaseException:
                print("swallowed")
            yield "after"
        if how == "raises another":
            try:
                await asyncio.sleep(60)
            except BaseException:
                raise ValueError("on the way out")
