"""The Python half reads and writes the golden messages of tests/protocol, which the Go half reads
too.
"""

from __future__ import annotations

import json
import pathlib
import shutil
from typing import Any

import pytest

from cog.internal.wire.spool import (
    Names,
    Request,
    Spool,
    file_id,
    log_event,
    metric_event,
    output_event,
    sort_names,
    timestamp,
)
from runner.conftest import Start
from runner.harness import ROOT, make_spool

GOLDEN = ROOT / "tests" / "protocol"


def golden(name: str) -> Any:
    return json.loads((GOLDEN / name).read_text())


@pytest.fixture
def spool(tmp_path: pathlib.Path) -> Spool:
    return Spool(str(make_spool(tmp_path / "spool")), 0)


def written(spool: Spool, name: str) -> Any:
    """Return a message that was written, and check that there is no partial file next to it."""
    assert list(pathlib.Path(spool.path, ".tmp").iterdir()) == []
    path = pathlib.Path(spool.path, name)
    assert path.stat().st_mode & 0o777 == 0o600
    return json.loads(path.read_bytes())


@pytest.mark.parametrize(("id", "name"), golden("file-ids.json").items())
def test_id_has_the_same_form_in_file_names_on_both_sides(id: str, name: str) -> None:
    assert file_id(id) == name


def test_request_is_read(spool: Spool) -> None:
    shutil.copy(GOLDEN / "request.json", f"{spool.path}/request-abc.json")
    assert spool.request("abc") == Request(
        "abc",
        "predict",
        {"prompt": "hi", "image": "https://example.com/in.png", "seed": 2**70},
        {"/image": "/tmp/coggo-inputs-1/2/0/in.png"},
        {"user": "u1"},
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "a=b"),
        True,
    )


def test_request_with_an_odd_id_is_read(spool: Spool) -> None:
    shutil.copy(GOLDEN / "request.odd-id.json", f"{spool.path}/request-odd.json")
    request = spool.request("odd")
    assert request == Request("../../x\0 é/😀", "train", {}, {}, {})


def test_cancel_is_seen(spool: Spool) -> None:
    assert not spool.canceled("abc")
    shutil.copy(GOLDEN / "cancel.json", f"{spool.path}/cancel-abc.json")
    assert spool.canceled("abc")


def test_health_messages_are_read_and_written(spool: Spool) -> None:
    assert spool.health_request() is None
    shutil.copy(GOLDEN / "health.request.json", f"{spool.path}/health/request.json")
    assert spool.health_request() == 7
    answer = golden("health.response.json")
    spool.put_health(7, answer["error"])
    assert written(spool, "health/response.json") == answer


@pytest.mark.parametrize("name", sorted(path.name for path in GOLDEN.glob("setup-result.*.json")))
def test_setup_result_is_written(spool: Spool, name: str) -> None:
    message = golden(name)
    spool.put_setup_result({key: value for key, value in message.items() if key != "protocol"})
    assert written(spool, "setup-result.json") == message


@pytest.mark.parametrize("name", sorted(path.name for path in GOLDEN.glob("response.*.json")))
def test_response_is_written(spool: Spool, name: str) -> None:
    message = golden(name)
    head = {key: value for key, value in message.items() if key not in ("output", "output_path")}
    large = message["output_path"] is not None
    output = json.dumps("x" * (1 << 20) if large else message["output"]).encode()
    spool.put_response("abc", head, output)
    assert written(spool, "response-abc.json") == message
    if large:
        assert pathlib.Path(spool.path, message["output_path"]).read_bytes() == output


def test_events_are_written(spool: Spool) -> None:
    events = spool.events("abc")
    messages = [json.loads(line) for line in (GOLDEN / "events.jsonl").read_text().splitlines()]
    for message in messages:
        if message["type"] == "output":
            events.append(output_event(json.dumps(message["chunk"]).encode(), message["files"]))
        elif message["type"] == "log":
            events.append(log_event(message["source"], message["data"], message.get("copy", False)))
        else:
            total = (message["total"],) if "total" in message else ()
            events.append(
                metric_event(
                    message["name"], message["value"], message["mode"], message["key"], total
                )
            )
    events.close()
    lines = pathlib.Path(spool.path, "events-abc.jsonl").read_bytes().splitlines()
    assert [json.loads(line) for line in lines] == messages


def test_events_file_is_made_with_the_first_event(spool: Spool) -> None:
    events = spool.events("abc")
    events.close()
    assert not pathlib.Path(spool.path, "events-abc.jsonl").exists()


def test_names_tell_requests_cancels_and_stop_apart() -> None:
    names = [
        "request-a.json",
        "response-a.json",
        "cancel-b.json",
        "events-a.jsonl",
        "request-~ff.json",
        "lock",
        ".tmp",
    ]
    assert sort_names(names) == Names(["a", "~ff"], ["b"], False)
    assert sort_names(["stop"]) == Names([], [], True)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "1970-01-01T00:00:00.000000+00:00"),
        (1767323045.678901, "2026-01-02T03:04:05.678901+00:00"),
        (1709251199.999999, "2024-02-29T23:59:59.999999+00:00"),
        (4102444800.5, "2100-01-01T00:00:00.500000+00:00"),
    ],
)
def test_time_is_utc_with_microseconds(seconds: float, text: str) -> None:
    assert timestamp(seconds) == text


@pytest.mark.parametrize("name", ["greet", "async_greet"])
def test_golden_request_runs_and_is_answered_in_the_golden_form(shared: Start, name: str) -> None:
    r = shared(f"endings.py:{name}")
    message = {**golden("request.json"), "input": {"name": "you"}, "files": []}
    r.put("request-abc.json", message)
    response = r.response("abc")
    assert set(response) == set(golden("response.succeeded.json"))
    assert (response["id"], response["output"]) == ("abc", "hello you")
    assert set(r.get("setup-result.json")) == set(golden("setup-result.succeeded.json"))


@pytest.mark.parametrize("name", ["greet", "async_greet"])
def test_odd_id_is_answered_under_its_hash_and_named_inside(shared: Start, name: str) -> None:
    r = shared(f"endings.py:{name}")
    for id, fid in golden("file-ids.json").items():
        r.put(
            f"request-{fid}.json",
            {"id": id, "method": "predict", "input": {"name": "x"}, "files": [], "context": {}},
        )
        assert r.response(fid)["id"] == id
