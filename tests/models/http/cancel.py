import os, time
from typing import Iterator
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
    def predict(self, how: str = "quick", n: int = 2) -> Iterator[str]:
        for i in range(n):
            print("item", i, flush=True)
            yield str(i)
        if how == "raise":
            raise ValueError("it fails")
        if how == "sleep":
            time.sleep(60)
        if how == "compute":
            while True:
                pass
        if how == "except exception":
            while True:
                try:
                    time.sleep(60)
                except Exception:
                    pass
        if how == "finally":
            try:
                time.sleep(60)
            finally:
                print("cleaned up")
        if how == "named":
            try:
                time.sleep(60)
            except cog.CancelationException:
                print("canceled by name")
                raise
        if how == "swallow":
            try:
                time.sleep(60)
            except BaseException:
                print("swallowed")
            yield "after"
        if how == "raises another":
            try:
                time.sleep(60)
            except BaseException:
                raise ValueError("on the way out")
