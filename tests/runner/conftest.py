from __future__ import annotations

import pathlib
import signal
from collections.abc import Iterator
from typing import Any, Protocol

import pytest

from interpreters import NEWEST, OLDEST, interpreter
from runner.harness import BUSY, LOOK, READY, Runner


def _newest() -> str:
    return next(found for found in map(interpreter, range(NEWEST, OLDEST - 1, -1)) if found)


@pytest.fixture(scope="session", params=["oldest", "newest"])
def python(request: Any) -> str:
    """An interpreter for the runner: Python 3.9 and the newest installed one."""
    found = interpreter(OLDEST) if request.param == "oldest" else _newest()
    if found is None:
        pytest.skip("Python 3.9 is not installed")
    return found


@pytest.fixture(scope="session")
def bells() -> Iterator[list[int]]:
    """The signals that runners sent to this process, in order."""
    rung: list[int] = []
    old = {
        number: signal.signal(number, lambda n, _: rung.append(n)) for number in (READY, BUSY, LOOK)
    }
    yield rung
    for number, handler in old.items():
        signal.signal(number, handler)


class Start(Protocol):
    """Starts a runner with a model of tests/models and waits until it is set up."""

    def __call__(self, ref: str, *options: str, ready: bool = True, **more: Any) -> Runner: ...


def _starter(python: str, tmp: pathlib.Path, bells: list[int], started: list[Runner]) -> Start:
    def start(ref: str, *options: str, ready: bool = True, **more: Any) -> Runner:
        bells.clear()
        runner = Runner(python, tmp / f"spool-{len(started)}", ref, *options, rung=bells, **more)
        started.append(runner)
        return runner.ready() if ready else runner

    return start


@pytest.fixture
def runner(python: str, tmp_path: pathlib.Path, bells: list[int]) -> Iterator[Start]:
    """Starts runners that end with the test."""
    started: list[Runner] = []
    yield _starter(python, tmp_path, bells, started)
    for one in started:
        one.kill()


@pytest.fixture(scope="module")
def shared(
    python: str, tmp_path_factory: pytest.TempPathFactory, bells: list[int]
) -> Iterator[Start]:
    """Starts runners that serve all tests of a file; each reference is started once."""
    started: list[Runner] = []
    start = _starter(python, tmp_path_factory.mktemp("shared"), bells, started)
    known: dict[tuple[str, ...], Runner] = {}

    def once(ref: str, *options: str, ready: bool = True, **more: Any) -> Runner:
        key = (ref, *options)
        if key not in known:
            known[key] = start(ref, *options, ready=ready, **more)
        return known[key]

    yield once
    for one in started:
        one.kill()
