"""How long finished predictions are retained: docs/http-api.md#finished-predictions."""

from __future__ import annotations

from servers import ROOT
from waiting import until

MODEL = (ROOT / "tests/models/counts.py").read_text()


def ids(server):
    return [p["id"] for p in server.get("/predictions").json["results"]]


def test_the_last_predictions_are_retained(start):
    server = start(MODEL, "--retain", "2")
    for n in range(4):
        server.predict({}, id=f"p{n}")
    assert ids(server) == ["p3", "p2"]
    assert server.get("/predictions/p1").status == 404
    assert server.ask("PUT", "/predictions/p3", {"input": {}}).json["output"] == 4
    assert server.ask("PUT", "/predictions/p1", {"input": {}}).json["output"] == 5, (
        "a forgotten prediction runs again"
    )


def test_nothing_is_retained_with_retain_0(start, receiver):
    server = start(MODEL, "--retain", "0")
    assert server.predict({}, id="gone").json["output"] == 1
    assert server.get("/predictions/gone").status == 404 and ids(server) == []
    assert server.ask("PUT", "/predictions/gone", {"input": {}}).json["output"] == 2
    server.predict({"s": 60}, {"Prefer": "respond-async"}, id="live", webhook=receiver.url)
    assert server.get("/predictions/live").json["status"] in ("starting", "processing")
    assert server.ask("PUT", "/predictions/live", {"input": {"s": 60}}).status == 202
    server.ask("POST", "/predictions/live/cancel")
    assert receiver.wait_terminal()["status"] == "canceled"
    assert server.get("/predictions/live").status == 404


def test_predictions_are_retained_for_a_time(start):
    server = start(MODEL, "--retain-for", "0.5")
    server.predict({}, id="old")
    until("it is forgotten", lambda: server.get("/predictions/old").status == 404)
    assert ids(server) == []


def test_the_default_is_the_last_thousand(start):
    server = start(MODEL)
    for n in range(1001):
        server.predict({}, id=f"p{n}")
    assert server.get("/predictions/p0").status == 404
    assert server.get("/predictions/p1").status == 200


def test_a_prediction_that_runs_again_replaces_the_retained_one(start):
    server = start(MODEL)
    server.predict({}, id="again")
    server.predict({}, id="other")
    assert server.predict({}, id="again").json["output"] == 3
    assert ids(server) == ["again", "other"]
    assert server.get("/predictions/again").json["output"] == 3


def test_unread_parts_of_a_large_body_are_not_kept(start):
    server = start(MODEL)
    body = b'{"unknown": "' + b"x" * (8 << 20) + b'", "input": {}}'
    for n in range(40):
        assert (
            server.ask("PUT", f"/predictions/p{n}", body, Content_Type="application/json").json[
                "output"
            ]
            == n + 1
        )
    assert server.memory("VmRSS") < 40 * len(body) / 2
