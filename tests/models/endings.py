"""The ways in which a prediction can end."""

import sys
from collections.abc import Iterator
from typing import Any


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


class Own(BaseException):
    pass


def _recurse() -> Any:
    return [_recurse()]


class _Loop:
    """Refers to itself."""

    def __init__(self) -> None:
        self.list: list[Any] = []
        self.list.append(self.list)


def _nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


def _raise(error: BaseException) -> None:
    raise error


ENDINGS = {
    "value": lambda: {"answer": 42},
    "exception": lambda: _raise(ValueError("no such voice")),
    "no message": lambda: _raise(ValueError()),
    "str raises": lambda: _raise(Unspeakable()),
    "100 MB": lambda: _raise(ValueError("x" * 100_000_000)),
    "exit": lambda: sys.exit(3),
    "exit text": lambda: sys.exit("out of memory"),
    "own": lambda: _raise(Own("mine")),
    "interrupt": lambda: _raise(KeyboardInterrupt()),
    "stop iteration": lambda: _raise(StopIteration(3)),
    "generator exit": lambda: _raise(GeneratorExit()),
    "nan": lambda: {"x": [1.0, float("nan")]},
    "infinity": lambda: float("inf"),
    "object": lambda: {"model": object()},
    "recursion": _recurse,
    "loop": lambda: _Loop().list,
    "deep": lambda: _nested(100_000),
    "surrogate": lambda: _raise(ValueError("a\ud800b")),
}


def sync_ending(how: str) -> Any:
    return ENDINGS[how]()


async def async_ending(how: str) -> Any:
    return ENDINGS[how]()


def fails_in_the_middle() -> Iterator[int]:
    yield 1
    yield 2
    raise ValueError("no third")


async def async_fails_in_the_middle() -> Iterator[int]:
    yield 1
    yield 2
    raise ValueError("no third")


def yields_nan() -> Iterator[float]:
    yield 1.0
    yield float("nan")


def greet(name: str) -> str:
    return f"hello {name}"


async def async_greet(name: str) -> str:
    return f"hello {name}"
