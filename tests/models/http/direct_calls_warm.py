import functools
from typing import Iterator, List
from cog import BasePredictor, BaseRunner, Input, Path, batch


def plainly(function):
    def call(*args, **kwargs):
        return function(*args, **kwargs)

    return call


def wrapped(function):
    @functools.wraps(function)
    def call(*args, **kwargs):
        return function(*args, **kwargs)

    return call


class Base(BasePredictor):
    def setup(self):
        self.warm = self.predict(prompt="a")

    def predict(
        self,
        prompt: str,
        steps: int = Input(default=2, ge=1),
        xs: list = Input(default_factory=lambda: [1]),
    ) -> str:
        return prompt * range(steps).stop * xs[0]


class NoBase:
    setup, predict = Base.setup, vars(Base)["predict"].__wrapped__


class Decorated(BasePredictor):
    setup = Base.setup

    @plainly
    def predict(self, prompt: str, steps: int = Input(default=2)) -> str:
        return prompt * range(steps).stop


class Wrapped(BasePredictor):
    setup = Base.setup

    @wrapped
    @wrapped
    def predict(self, prompt: str, steps: int = Input(default=2)) -> str:
        return prompt * range(steps).stop


class Runs(BaseRunner):
    def setup(self):
        self.warm = self.run("a")

    def run(self, prompt: str, steps: int = Input(default=2)) -> str:
        return prompt * range(steps).stop


class Inherits(Base):
    def predict(self, prompt: str, steps: int = Input(default=2)) -> str:
        return super().predict(prompt, steps)


class Yields(BasePredictor):
    def setup(self):
        self.warm = "".join(self.predict("a"))

    def predict(self, prompt: str, steps: int = Input(default=2)) -> Iterator[str]:
        yield prompt * range(steps).stop


class Async(BasePredictor):
    async def setup(self):
        self.warm = await self.predict(prompt="a")

    async def predict(self, prompt: str, steps: int = Input(default=2)) -> str:
        return prompt * range(steps).stop


class Batched(BasePredictor):
    def setup(self):
        self.warm = "".join(self.predict(prompt=["a", "b"]))

    @batch(max_size=4)
    def predict(self, prompt: List[str], steps: List[int] = Input(default=2)) -> List[str]:
        return [p * range(s).stop for p, s in zip(prompt, steps)]
