"""Staying awake between predictions that follow each other fast."""

from __future__ import annotations

import os
import pathlib
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from runner.conftest import Start
from runner.harness import LOOK, ROOT
from waiting import until

sys.path.insert(0, str(ROOT / "python"))

from cog.internal import file_runner  # noqa: E402
from cog.internal.inotify import Watch, watch  # noqa: E402


def test_every_answer_that_nobody_has_taken_is_announced(runner: Start) -> None:
    r = runner("boot.py:Plain", "--busy-poll", "5")
    for i in range(20):
        before = r.rung.count(LOOK)
        assert r.predict({"name": str(i)})["output"] == f"hello {i}"
        until("it is announced", lambda before=before: r.rung.count(LOOK) > before)
    assert r.stop() == 0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    now = [100.0]
    monkeypatch.setattr(file_runner, "_clock", lambda: now[0])
    yield now


def test_it_stays_awake_where_requests_come_fast(clock: list[float]) -> None:
    pace = file_runner.Pace(0.5)
    pace.begin()
    assert not pace.brief()
    pace.end()
    assert pace.awake_until == 0, "one alone says nothing"
    clock[0] = 100.4
    pace.begin()
    assert pace.brief()
    clock[0] = 101.0
    assert not pace.brief(), "the server looks for no longer than that either"
    pace.end()
    assert pace.awake_until == 101.5
    clock[0] = 101.6
    pace.begin()
    pace.end()
    assert pace.awake_until == 0, "it came too late"


def test_without_it_nothing_is_awaited(clock: list[float]) -> None:
    pace = file_runner.Pace(0.0)
    for _ in range(3):
        pace.begin()
        assert not pace.brief()
        pace.end()
        assert pace.awake_until == 0


@pytest.mark.parametrize("awake", [0.0, 0.02, 30.0], ids=["asleep", "falls asleep", "awake"])
def test_names_come_awake_or_asleep(tmp_path: pathlib.Path, awake: float) -> None:
    (tmp_path / "half").mkdir()
    (tmp_path / "spool").mkdir()
    names: Watch = watch(str(tmp_path / "spool"))

    def move(name: str) -> None:
        (tmp_path / "half" / name).touch()
        (tmp_path / "half" / name).rename(tmp_path / "spool" / name)

    for name in ("first", "second"):
        later = threading.Timer(0.1, move, [name])
        later.start()
        assert names.wait(time.monotonic() + awake if awake else 0.0) == [name]
        later.join()
    assert names.fd is not None
    assert not os.get_blocking(names.fd)
    os.close(names.fd)
