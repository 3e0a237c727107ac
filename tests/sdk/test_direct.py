"""A test of a model calls its methods itself: omitted inputs have defaults, as in a request."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any, Optional

import pytest

from cog import BasePredictor, Input, Path
from cog.errors import LoadError


class Predictor(BasePredictor):
    def predict(
        self,
        prompt: str,
        steps: int = Input(default=2, ge=1),
        file: Path = Input(default="a.txt"),
        items: list = Input(default=[1]),
        made: list = Input(default_factory=list),
        mask: Optional[Path] = Input(description="May be left out."),  # noqa: UP045
        need: str = Input(description="Must be given."),
        plain: int = 5,
    ) -> Any:
        return [prompt, steps, file, items, made, mask, need, plain]

    def train(self, n: int = Input(default=3)) -> int:
        return n


class Async(BasePredictor):
    async def predict(self, n: int = Input(default=3)) -> int:
        return n


class Static(BasePredictor):
    @staticmethod
    def predict(n: int = Input(default=3)) -> int:
        return n


class Refused(BasePredictor):
    def predict(self, n: object = Input(default=3)) -> int:
        return 0


def test_omitted_inputs_have_their_defaults() -> None:
    got = Predictor().predict("a", need="n")
    assert got == ["a", 2, Path("a.txt"), [1], [], None, "n", 5]
    assert type(got[2]) is Path
    assert Predictor().train() == 3
    assert asyncio.run(Async().predict()) == 3
    assert Static.predict() == Static().predict() == 3


def test_arguments_are_passed_by_name_and_by_position() -> None:
    assert Predictor().predict("a", 3, need="n")[:2] == ["a", 3]
    assert Predictor.predict(Predictor(), prompt="a", steps=4, need="n")[1] == 4


def test_each_call_has_its_own_copy_of_a_default() -> None:
    model = Predictor()
    for _ in range(2):
        got = model.predict("a", need="n")
        got[3].append(2)
        got[4].append(1)
    assert model.predict("a", need="n")[3:5] == [[1], []]


def test_a_missing_required_input_is_named() -> None:
    with pytest.raises(TypeError, match=r"predict\(\) missing 1 required argument: 'need'"):
        Predictor().predict("a")


def test_the_signature_is_unchanged() -> None:
    found = inspect.signature(Predictor().predict)
    assert list(found.parameters)[:3] == ["prompt", "steps", "file"]
    assert found.parameters["steps"].default.ge == 1


def test_a_model_that_would_not_load_says_why() -> None:
    with pytest.raises(LoadError, match="n: "):
        Refused().predict()
