"""The forms that a model can have, and the ways in which its start can fail."""

import sys
import time

from cog import BasePredictor


def function(name: str = "world") -> str:
    return f"hello {name}"


async def async_function(name: str = "world") -> str:
    return f"hello {name}"


class Plain:
    def predict(self, name: str = "world") -> str:
        return f"hello {name}"


class WithSetup(BasePredictor):
    def setup(self) -> None:
        print("loading weights")
        self.greeting = "hello"

    def predict(self, name: str = "world") -> str:
        return f"{self.greeting} {name}"


class Async(WithSetup):
    async def predict(self, name: str = "world") -> str:
        return f"{self.greeting} {name}"


class AsyncSetup(BasePredictor):
    async def setup(self) -> None:
        self.greeting = "hello"

    async def predict(self, name: str = "world") -> str:
        return f"{self.greeting} {name}"


class AsyncSetupOnly(BasePredictor):
    async def setup(self) -> None:
        self.greeting = "hello"

    def predict(self, name: str = "world") -> str:
        return f"{self.greeting} {name}"


class SlowSetup(Plain):
    def setup(self) -> None:
        time.sleep(30)


class Raises(Plain):
    def setup(self) -> None:
        print("looking for weights")
        raise ValueError("weights missing")


class RaisesAsync(AsyncSetup):
    async def setup(self) -> None:
        raise ValueError("weights missing")


class Exits(Plain):
    def setup(self) -> None:
        sys.exit(3)


class ExitsAsync(AsyncSetup):
    async def setup(self) -> None:
        sys.exit(3)


class Interrupts(Plain):
    def setup(self) -> None:
        raise KeyboardInterrupt


class InitRaises(Plain):
    def __init__(self) -> None:
        raise RuntimeError("no GPU")


class NotAnnotated:
    def predict(self, name) -> str:
        return f"hello {name}"


class NoPredict:
    pass
