"""A runner polls between predictions that follow each other fast."""

from __future__ import annotations

import os
import pathlib
import sys
import threading
import time
import types
from collections.abc import Iterator

import pytest

from runner.conftest import Start
from runner.harness import LOOK, ROOT
from waiting import until

sys.path.insert(0, str(ROOT / "python"))

from cog.internal.runtime import sync_runner
from cog.internal.wire.inotify import Watch, watch


@pytest.mark.parametrize("watched", [False, True])
def test_every_untaken_response_is_signaled(runner: Start, watched: bool) -> None:
    r = runner("boot.py:Plain", "--busy-poll", "5")
    for i in range(20):
        before = r.rung.count(LOOK)
        id = r.send(f"p{i}", {"name": str(i)}, watched=watched)
        until(
            "it is signaled", lambda before=before: r.rung.count(LOOK) > before
        )  # checking the request file would remove it
        assert r.response(id)["output"] == f"hello {i}"
    assert r.stop() == 0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    now = [100.0]
    monkeypatch.setattr(sync_runner, "time", types.SimpleNamespace(monotonic=lambda: now[0]))
    yield now


def predict(pace: sync_runner.Pace, clock: list[float], begun: float, ended: float) -> None:
    clock[0] = begun
    pace.begin()
    clock[0] = ended
    pace.end()


def test_runner_stays_awake_between_fast_requests(clock: list[float]) -> None:
    pace = sync_runner.Pace(0.5)
    predict(pace, clock, 100, 100.1)
    assert pace.awake_until == 0, "one prediction alone does not start polling"
    predict(pace, clock, 100.5, 101.5)
    assert pace.awake_until == 102
    predict(pace, clock, 102.1, 102.2)
    assert pace.awake_until == 0, "the next prediction came too late"


def test_prediction_is_brief_only_within_the_pace(clock: list[float]) -> None:
    pace = sync_runner.Pace(0.5)
    pace.begin()
    assert pace.brief()
    clock[0] += 0.6
    assert not pace.brief()


def test_pace_of_zero_never_waits(clock: list[float]) -> None:
    pace = sync_runner.Pace(0.0)
    for _ in range(3):
        pace.begin()
        assert not pace.brief()
        pace.end()
        assert pace.awake_until == 0


@pytest.mark.parametrize("awake", [0.0, 0.02, 30.0], ids=["asleep", "falls asleep", "awake"])
def test_new_files_are_seen_awake_or_asleep(tmp_path: pathlib.Path, awake: float) -> None:
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
