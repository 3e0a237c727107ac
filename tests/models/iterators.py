"""Models that yield."""

import os
import resource
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from typing import Any

from cog import AsyncConcatenateIterator, ConcatenateIterator, Path


def numbers(count: int = 3) -> Iterator[int]:
    yield from range(count)


async def async_numbers(count: int = 3) -> AsyncIterator[int]:
    for number in range(count):
        yield number


def generator(count: int = 3) -> Generator[int, None, None]:
    yield from range(count)


async def async_generator(count: int = 3) -> AsyncGenerator[int, None]:
    for number in range(count):
        yield number


def words() -> ConcatenateIterator[str]:
    yield "Hel"
    yield ""
    yield "lo"


async def async_words() -> AsyncConcatenateIterator[str]:
    yield "Hel"
    yield ""
    yield "lo"


def returned_list() -> Iterator[int]:
    return [0, 1, 2]


def returned_iterator() -> Iterator[int]:
    return map(int, "012")


async def awaited_list() -> AsyncIterator[int]:
    return [0, 1, 2]


def sync_returns_async() -> AsyncIterator[int]:
    return async_numbers(3)


def returned_text() -> Iterator[str]:
    return "abc"


def nothing() -> Iterator[int]:
    return None


def unannotated(count: int = 3) -> Any:
    return numbers(count)


def unannotated_async(count: int = 3) -> Any:
    return async_numbers(count)


async def async_unannotated(count: int = 3) -> list[int]:
    return numbers(count)


def wrong_item() -> Iterator[int]:
    yield 1
    yield "two"


def _overwritten() -> Iterator[Path]:
    path = os.path.join(tempfile.mkdtemp(), "frame.txt")
    for text in ("one", "two"):
        with open(path, "w") as out:
            out.write(text)
        yield Path(path)
    os.unlink(path)


def files() -> Iterator[Path]:
    yield from _overwritten()


async def async_files() -> AsyncIterator[Path]:
    for path in _overwritten():
        yield path


def nested_files() -> Iterator[dict[str, Any]]:
    for path in _overwritten():
        yield {"frames": [path]}


def in_memory_files() -> Iterator[Any]:
    import io

    yield [io.BytesIO(b"a"), io.BytesIO(b"b")]
    yield io.BytesIO(b"c")


async def no_room(ever: bool) -> AsyncIterator[str]:
    """Only a part of the second item fits into its file, until there is room, if ever."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield "first"
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
    yield "second" * 500
    if ever:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    yield "third"
