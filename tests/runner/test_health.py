"""The model's own healthcheck, next to its predictions."""

from __future__ import annotations

import pathlib

import pytest

from runner.conftest import Start

_FAILED = "Healthcheck failed: "

ANSWERS = [
    ("Healthy", None),
    ("AsyncCheck", None),
    ("AsyncHealthy", None),
    ("AsyncInItsLoop", None),
    ("AsyncWithSyncCheck", None),
    ("Unhealthy", _FAILED + "user-defined healthcheck returned False"),
    ("AsyncUnhealthy", _FAILED + "user-defined healthcheck returned False"),
    ("Raises", _FAILED + "GPU fell off the bus"),
    ("AsyncRaises", _FAILED + "GPU fell off the bus"),
    ("Exits", _FAILED + "the model called sys.exit(3)"),
    ("AsyncExits", _FAILED + "the model called sys.exit(3)"),
]


@pytest.mark.parametrize(("name", "error"), ANSWERS)
def test_healthcheck_is_called_for_each_request_and_its_reason_is_reported(
    shared: Start, name: str, error: str | None
) -> None:
    r = shared(f"checks.py:{name}")
    assert r.get("setup-result.json")["healthcheck"] is True
    for sequence in (1, 2, 3):
        assert r.health(sequence) == {
            "sequence": sequence,
            "healthy": error is None,
            "error": error,
        }
    assert r.predict()["output"] == "done"


def test_healthcheck_result_is_not_cached(runner: Start) -> None:
    r = runner("checks.py:Wakes")
    assert r.health(1)["healthy"] is False
    assert r.health(2)["healthy"] is True


HANGING = ["Hangs", "AsyncHangs", "AsyncWithHangingSyncCheck"]


@pytest.mark.parametrize("name", HANGING)
def test_healthcheck_that_hangs_times_out_and_the_next_prediction_works(
    runner: Start, name: str
) -> None:
    r = runner(f"checks.py:{name}")
    answer = r.health(1)
    assert answer["error"] == _FAILED + "user-defined healthcheck timed out after 5.0 seconds"
    assert r.predict()["output"] == "done"


@pytest.mark.parametrize("name", ["HangsUntil", "AsyncHangsUntil", "AsyncWithSyncCheckUntil"])
def test_healthcheck_that_hangs_is_the_only_one_until_it_returns(
    runner: Start, name: str, tmp_path: pathlib.Path
) -> None:
    gate = tmp_path / "gate"
    r = runner(f"checks.py:{name}", env={"GATE": str(gate)})
    for sequence in (1, 2, 3):
        assert (
            r.health(sequence)["error"]
            == _FAILED + "user-defined healthcheck timed out after 5.0 seconds"
        )
    assert r.predict()["output"] == "1 called", "there is not one call for each probe"
    gate.touch()
    assert r.health(4)["healthy"] is True
    assert r.health(5)["healthy"] is True
    assert int(r.predict()["output"].split()[0]) >= 2, (
        "once it has returned, the runner calls it again"
    )


@pytest.mark.parametrize("name", HANGING)
def test_healthcheck_that_hangs_does_not_delay_the_exit_of_the_runner(
    runner: Start, name: str
) -> None:
    r = runner(f"checks.py:{name}")
    r.put("health/request.json", {"sequence": 1})
    assert r.predict()["output"] == "done"
    r.put("stop", {})
    assert r.exit(10) == 0


@pytest.mark.parametrize("name", ["Healthy", "AsyncHealthy", "AsyncWithSyncCheck"])
def test_health_is_answered_during_a_prediction(shared: Start, name: str) -> None:
    r = shared(f"checks.py:{name}")
    r.send("long", {"seconds": 1})
    assert r.health(100)["healthy"] is True
    assert r.get("response-long.json") is None
    assert r.response("long")["output"] == "done"


@pytest.mark.parametrize("name", ["Healthy", "AsyncHealthy"])
def test_health_request_from_before_the_start_is_answered(runner: Start, name: str) -> None:
    r = runner(f"checks.py:{name}", ready=False)
    assert r.health(1)["healthy"] is True


@pytest.mark.parametrize("name", ["Healthy", "AsyncHealthy"])
@pytest.mark.parametrize(
    "message", [b"", b"{", b"[]", b'{"sequence": null}', b"{}", b'{"sequence": "x"}']
)
def test_malformed_health_request_is_ignored(shared: Start, name: str, message: bytes) -> None:
    r = shared(f"checks.py:{name}")
    r.put("health/request.json", message)
    assert r.predict()["output"] == "done"
    assert r.health(r.next_number() + 1000)["healthy"] is True
