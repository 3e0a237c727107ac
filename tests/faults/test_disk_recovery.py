"""A server that starts, or was killed, on a full disk loses nothing."""

from __future__ import annotations

import os

import pytest

from faults_disk import FULL, Disk, small_disks, well
from faults_models import MODEL, asked, begun, ends
from http_harness import Receiver
from waiting import alive, until


@pytest.fixture
def small(tmp_path):
    """Makes a small disk."""
    with small_disks(tmp_path) as mount:
        yield mount


@pytest.fixture
def disk(small):
    return small("size=1m")


RECOVERED = "the server restarted before the prediction ended"


@pytest.mark.parametrize("more", [(), ("--runners", "2")], ids=["one", "two runners"])
@pytest.mark.parametrize("recover", ["fail", "rerun"])
def test_a_server_that_starts_on_a_full_disk_keeps_accepted_predictions(
    start, disk: Disk, receiver: Receiver, recover: str, more: tuple[str, ...]
) -> None:
    """It runs once there is room. Neither this server nor the next one removes it before its
    end.
    """
    gate = disk.path.parent / f"{disk.path.name}-gate"
    flags = (
        "--working-dir",
        str(disk.path / "spool"),
        "--max-queue",
        "2",
        "--recover",
        recover,
        *more,
    )
    first = start(MODEL, *flags)
    if more:
        until("both are ready", lambda: first.health()["concurrency"]["max"] == 2)
    ids = ["runs", *(["runs-too"] if more else []), "waits"]
    for n, id in enumerate(ids):
        asked(
            first,
            {"gate": str(gate), "n": n},
            id=id,
            webhook=receiver.url,
            webhook_events_filter=["completed"],
        )
        if id != "waits":
            begun(first, id)
    runners = first.runners()
    assert len(runners) == (2 if more else 1)
    first.kill()
    gate.touch()
    until("the runners have exited", lambda: not any(map(alive, runners)))  # that frees space
    for record in (disk.path / "spool").rglob("logs-*.txt"):
        record.unlink()  # otherwise the next server frees its space
    disk.fill()
    for _ in range(2):
        server = start(MODEL, *flags, ready=False)
        until(
            "it says why", lambda log=server.log: "no runner can start" in log() and FULL in log()
        )
        assert server.health()["status"] == "STARTING"
        for id in ids:
            kept = server.get(f"/predictions/{id}").json
            if recover == "fail" and id != "waits":
                assert (kept["status"], kept["error"]) == ("failed", RECOVERED)
            else:
                assert (kept["status"], kept["error"]) == ("starting", None)
        server.kill()
    server = start(MODEL, *flags, ready=False)
    disk.free()
    for n, id in enumerate(ids):
        end = server.ended(id)
        if recover == "fail" and id != "waits":
            assert (end["status"], end["error"]) == ("failed", RECOVERED)
        else:
            assert (end["status"], end["output"]) == ("succeeded", [f"part {n}"])
    until("the receiver has every end", lambda: set(ends(receiver)) == set(ids))
    assert {id: told for id, told in ends(receiver).items() if len(set(told)) > 1} == {}
    gate.unlink()
    well(server)
    server.close()


@pytest.mark.parametrize("when", ["it ends", "it is accepted"])
def test_a_prediction_that_ended_on_a_full_disk_outlives_a_killed_server(
    start, disk: Disk, receiver: Receiver, when: str
) -> None:
    """The webhook sent again is the same as before."""
    gate = disk.path.parent / f"{disk.path.name}-gate"
    receiver.answer = lambda n: 503
    flags = ("--working-dir", str(disk.path / "spool"))
    first = start(MODEL, *flags)
    asked(first, {}, id="before", webhook=receiver.url, webhook_events_filter=["completed"])
    first.ended("before")
    well(first)
    if when == "it ends":
        asked(
            first,
            {"gate": str(gate)},
            id="it",
            webhook=receiver.url,
            webhook_events_filter=["completed"],
        )
        begun(first, "it")
        disk.fill()
        gate.touch()
    else:
        disk.fill()
        asked(first, {}, id="it", webhook=receiver.url, webhook_events_filter=["completed"])
    want = first.ended("it")
    assert want["status"] == "failed" and "o space left on device" in want["error"]
    until("it was tried", lambda: "it" in ends(receiver))
    first.kill()
    disk.free()
    receiver.got.clear()
    receiver.answer = lambda n: 200
    second = start(MODEL, *flags)
    until("the receiver has both ends", lambda: set(ends(receiver)) == {"before", "it"})
    assert [body for body in receiver.got if body["id"] == "it"] == [want]
    assert second.get("/predictions/it").json == want
    second.close()
    gate.unlink(missing_ok=True)


@pytest.mark.parametrize(("free", "status"), [(0, "failed"), (48 << 10, "succeeded")])
def test_an_end_larger_than_the_reserve_is_still_reported(
    start, disk: Disk, receiver: Receiver, free: int, status: str
) -> None:
    """The runner may have had room for its response when the server had none for the journal entry.
    Then the next server reports the prediction as failed.
    """
    gate = disk.path.parent / f"{disk.path.name}-gate"
    receiver.answer = lambda n: 503
    flags = ("--working-dir", str(disk.path / "spool"))
    first = start(MODEL, *flags)
    large = {
        "context": {"large": "x" * (100 << 10)},
        "webhook": receiver.url,
        "webhook_events_filter": ["completed"],
    }
    asked(first, {"gate": str(gate)}, id="it", **large)
    begun(first, "it")
    disk.fill()
    disk.free(free)
    gate.touch()
    assert first.ended("it")["status"] == status
    os.kill(first.runner(), 9)  # the next server removes what an earlier one left
    if free:
        until("there is another one", lambda: "runner ended" in first.log())
        first.wait_status("READY")
    else:
        until("it says why", lambda: disk.fill() or "no runner can start" in first.log())
    first.kill()
    receiver.got.clear()
    receiver.answer = lambda n: 200
    second = start(MODEL, *flags, ready=False)
    assert receiver.wait_terminal() == second.ended("it")
    assert ends(receiver) == {"it": ["failed"]}
    disk.free()
    until("it is delivered", lambda: not list((disk.path / "spool" / "outbox").iterdir()))
    well(second)
    second.close()
    gate.unlink()
