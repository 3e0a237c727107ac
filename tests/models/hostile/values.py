"""Values and exceptions that are hard to render."""

import math
import os
import sys
import tempfile
from typing import Any, Callable, Iterator, List

from cog import Path, current_scope


class StrRaises(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


class StrIsHuge(Exception):
    def __str__(self) -> str:
        return "h" * 100_000_000


class StrIsNoText(Exception):
    def __str__(self) -> Any:
        return 5


class StrExits(Exception):
    def __str__(self) -> str:
        sys.exit(1)


class ClassLies(Exception):
    @property
    def __class__(self) -> Any:
        raise RuntimeError("no class")

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError("no attribute")


class OddExit:
    def __repr__(self) -> str:
        raise RuntimeError("no text")


class Own(BaseException):
    pass


class Text(str):
    def __str__(self) -> str:
        raise RuntimeError("no text")


def raise_it(error: BaseException) -> Callable[[], None]:
    def go() -> None:
        raise error

    return go


def long_chain() -> None:
    """Raise an exception with a chain of five hundred causes."""
    error: Any = None
    for i in range(500):
        try:
            raise ValueError(f"number {i}") from error
        except ValueError as e:
            error = e
    raise error


def cause_of_itself() -> None:
    error = ValueError("chases its tail")
    error.__cause__ = error
    raise error


def recurse() -> None:
    recurse()


def deep_list(depth: int = 100_000) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


def deep_dict() -> Any:
    value: Any = {}
    for _ in range(100_000):
        value = {"k": value}
    return value


def itself() -> Any:
    value: List[Any] = []
    value.append(value)
    return value


def fifo() -> Any:
    path = os.path.join(tempfile.mkdtemp(), "fifo")
    os.mkfifo(path)
    return Path(path)


def loop_of_links() -> Any:
    path = os.path.join(tempfile.mkdtemp(), "link")
    os.symlink(path, path)
    return Path(path)


def link_to(target: str) -> Any:
    path = os.path.join(tempfile.mkdtemp(), "link")
    os.symlink(target, path)
    return Path(path)


def file_that_went() -> Any:
    path = os.path.join(tempfile.mkdtemp(), "gone")
    open(path, "w").close()
    os.unlink(path)
    return Path(path)


def good_link() -> Any:
    directory = tempfile.mkdtemp()
    with open(os.path.join(directory, "file.txt"), "w") as f:
        f.write("linked")
    os.symlink("file.txt", os.path.join(directory, "link.txt"))
    return Path(os.path.join(directory, "link.txt"))


class ReadRaises:
    def read(self, n: int = -1) -> bytes:
        raise RuntimeError("no contents")

    def seek(self, at: int) -> None:
        pass


class ReadLies:
    def read(self, n: int = -1) -> Any:
        return 5

    def seek(self, at: int) -> None:
        pass


class Nameless(os.PathLike):
    def __fspath__(self) -> Any:
        return 5


class DictThatRaises(dict):
    def items(self) -> Any:
        raise RuntimeError("no items")


def generator_that_raises() -> Iterator[int]:
    yield 1
    raise ValueError("in the middle")


def record_nonsense() -> None:
    for name, value in [
        ("a..b", 1),
        ("predict_time", 1),
        ("x" * 500, 1),
        ("n", math.nan),
        ("o", object()),
    ]:
        try:
            current_scope().record_metric(name, value)
        except (ValueError, TypeError):
            continue
