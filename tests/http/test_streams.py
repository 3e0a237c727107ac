"""Server-sent events, and readers that join later: docs/http-api.md#streams."""

from __future__ import annotations

import json
import pathlib
import socket
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from http_events import Stream
from model_sources import model_source
from servers import BINARY
from waiting import until

MODEL = model_source("http/streams")

PLAIN = "class Predictor:\n    def predict(self, n: int = 1) -> str:\n        return 'plain'\n"


@pytest.fixture(scope="module")
def server(start_once):
    return start_once(MODEL)


@pytest.fixture(scope="module")
def plain(start_once):
    return start_once(PLAIN)


@pytest.fixture
def gate(server, request):
    """The name of a file that the model waits for, and a function that makes it."""
    name = f"gate{abs(hash(request.node.name))}"
    path = pathlib.Path(f"/proc/{server.runner()}/cwd").resolve() / name
    yield name, path.touch
    path.touch()


def stream(server, input=None, method="POST", path="/predictions", headers=None, **envelope):
    return Stream(server.port, method, path, {"input": input or {}, **envelope}, headers)


def join(server, id, last=None):
    headers = {} if last is None else {"Last-Event-ID": str(last)}
    return Stream(server.port, "GET", f"/predictions/{id}/stream", None, headers)


def named(events, name):
    return [e.data for e in events if e.name == name]


# The events


def test_the_events_of_a_run(server):
    with stream(server, {"n": 2}, id="events") as s:
        assert (s.status, s.headers["content-type"], s.headers["cache-control"]) == (
            200,
            "text/event-stream",
            "no-cache",
        )
        events = list(s)
    assert events[0].name == "start" and events[0].data == {"id": "events", "status": "processing"}
    assert named(events, "output") == [{"chunk": "0", "index": 0}, {"chunk": "1", "index": 1}]
    assert {d["source"] for d in named(events, "log")} == {"stdout"}, (
        "one pipe for both streams keeps their order"
    )
    assert "".join(d["data"] for d in named(events, "log")) == "out\nerr\n"
    assert named(events, "metric") == [{"name": "tokens", "value": 2, "mode": "replace"}]
    assert events[-1].name == "completed" and len(named(events, "completed")) == 1
    assert events[-1].data == server.get("/predictions/events").json
    assert [int(e.id) for e in events] == list(range(1, len(events) + 1)), (
        "every event has an id, in order"
    )


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_the_mode_of_a_metric_has_the_name_that_cog_gives_it(start, kind):
    server = start(f"""
from typing import AsyncIterator, Iterator
from cog import BasePredictor, streaming
class Predictor(BasePredictor):
    @streaming
    {kind} predict(self) -> {"AsyncIterator" if "async" in kind else "Iterator"}[str]:
        for mode in ("increment", "incr", "append", "replace"):
            self.record_metric("in_" + mode, 1, mode)
        yield "recorded"
""")
    with stream(server) as s:
        told = named(s, "metric")
    modes = {
        "in_increment": "increment",
        "in_incr": "increment",
        "in_append": "append",
        "in_replace": "replace",
    }
    assert {metric["name"]: metric["mode"] for metric in told} == modes


def test_the_chunks_together_are_the_output(server):
    with stream(server, {"n": 40}) as s:
        events = list(s)
    chunks = named(events, "output")
    assert [c["index"] for c in chunks] == list(range(40))
    assert [c["chunk"] for c in chunks] == events[-1].data["output"]


def test_a_run_that_fails_ends_with_its_object(server):
    with stream(server, {"end": "raise"}) as s:
        last = s.until("completed")[-1].data
    assert (last["status"], last["error"], last["output"]) == ("failed", "boom", ["0", "1", "2"])
    assert "Traceback" in last["logs"]


@pytest.mark.parametrize(
    "accept",
    [
        "text/event-stream",
        "text/event-stream, application/json",
        "application/json;q=0.5, text/event-stream;q=0.9",
        "text/event-stream; charset=utf-8",
        "TEXT/EVENT-STREAM",
        "*/*, text/event-stream",
    ],
)
def test_accept_is_a_list_with_parameters(server, accept):
    with stream(server, headers={"Accept": accept}) as s:
        assert s.status == 200 and s.headers["content-type"] == "text/event-stream"
        assert s.until("completed")


@pytest.mark.parametrize(
    "accept",
    ["*/*", "application/json", "text/*", "text/event-streams", "", "text/event-stream;q=0"],
)
def test_without_accept_for_streams_the_answer_is_json(server, accept):
    answer = server.predict({}, {"Accept": accept})
    assert answer.headers["content-type"] == "application/json" and answer.json["output"] == [
        "0",
        "1",
        "2",
    ]


def test_a_model_that_did_not_opt_in_is_not_acceptable(plain):
    for method, path in (("POST", "/predictions"), ("PUT", "/predictions/x")):
        answer = plain.ask(method, path, {"input": {}}, Accept="text/event-stream")
        assert answer.status == 406 and "streaming" in answer.json["detail"]
    assert plain.health()["status"] == "READY"
    assert plain.get("/predictions/x").status == 404, "nothing was run"


def test_trainings_are_not_streamed(server):
    for method, path in (("POST", "/trainings"), ("PUT", "/trainings/x")):
        answer = server.ask(method, path, {"input": {}}, Accept="text/event-stream")
        assert answer.status == 406 and "training" in answer.json["detail"]
    assert server.ask("POST", "/trainings", {"input": {}}).json["output"] == "trained"


def test_the_schema_marks_models_that_stream(server, plain):
    assert (
        server.get("/openapi.json").json["paths"]["/predictions"]["post"]["x-cog-streaming"] is True
    )
    assert "x-cog-streaming" not in plain.get("/openapi.json").json["paths"]["/predictions"]["post"]


def test_invalid_input_of_a_stream_is_refused_with_422(server):
    with stream(server, {"n": "many"}) as s:
        assert s.status == 422 and s.headers["content-type"] == "application/json"
        assert json.loads(s.response.read())["detail"][0]["loc"] == ["body", "input", "n"]


def test_an_item_comes_when_it_is_yielded(server, gate):
    name, go = gate
    with stream(server, {"n": 1, "wait": name, "end": "more"}) as s:
        assert s.until("output")[-1].data == {"chunk": "0", "index": 0}
        go()
        assert s.until("output")[-1].data == {"chunk": "last", "index": 1}


ASYNC = model_source("http/streams_async")


@pytest.fixture(scope="module")
def busy(start_once):
    return start_once(ASYNC)


def test_an_item_of_an_async_generator_comes_although_it_computes_on(busy):
    where = pathlib.Path(f"/proc/{busy.runner()}/cwd").resolve()
    with stream(busy, {"n": 3, "gate": "a"}) as s:
        for i in range(3):
            assert s.until("output")[-1].data == {"chunk": f"a{i}", "index": i}
            (where / f"a{i}").touch()
        assert s.until("completed")[-1].data["output"] == ["a0", "a1", "a2"]


def test_streams_of_one_process_do_not_mix(busy):
    def one(n):
        with stream(busy, {"n": 50 + n}, id=f"mix{n}") as s:
            return list(s)

    with ThreadPoolExecutor(4) as pool:
        for n, events in enumerate(pool.map(one, range(4))):
            assert [e["index"] for e in named(events, "output")] == list(range(50 + n))
            assert events[-1].data["id"] == f"mix{n}"


# Late readers


def test_a_put_of_a_running_id_replays_its_events_and_follows(server, gate):
    name, go = gate
    with stream(server, {"wait": name, "end": "more"}, "PUT", "/predictions/again") as first:
        seen = [first.until("output") for _ in range(3)]
        with stream(server, {"wait": name, "end": "more"}, "PUT", "/predictions/again") as second:
            assert second.status == 200
            replayed = [second.until("output")[-1].data["chunk"] for _ in range(3)]
            assert replayed == ["0", "1", "2"]
            go()
            mine, other = list(first), list(second)
    assert [e[1:] for e in mine] == [e[1:] for e in other], "both follow to the same end"
    assert named(other, "completed")[0]["output"] == ["0", "1", "2", "last"]
    assert seen[0][0].name == "start"


def test_a_put_of_a_finished_id_replays_its_events(server):
    body = server.ask("PUT", "/predictions/over", {"input": {"n": 2}}).json
    with stream(server, {"n": 2}, "PUT", "/predictions/over") as s:
        events = list(s)
    assert [d["chunk"] for d in named(events, "output")] == ["0", "1"] and events[-1].data == body


def test_several_readers_join_a_prediction_that_was_not_asked_for_as_a_stream(server, gate):
    name, go = gate
    server.predict({"wait": name, "end": "more"}, {"Prefer": "respond-async"}, id="joined")
    readers = [join(server, "joined") for _ in range(4)]
    for reader in readers:
        assert reader.status == 200 and [e.name for e in reader.until("output")].count("start") == 1
    readers.pop().close()
    go()
    for reader in readers:
        events = list(reader)
        assert named(events, "output")[-1] == {"chunk": "last", "index": 3}
        assert events[-1].data["status"] == "succeeded"
        reader.close()


def test_a_finished_prediction_can_be_joined(server):
    body = server.predict({"n": 2}, id="kept").json
    with join(server, "kept") as s:
        events = list(s)
    assert events[0].name == "start" and events[-1].data == body
    with join(server, "unknown") as s:
        assert s.status == 404


def test_a_reader_continues_after_its_last_event_id(server):
    with stream(server, {"n": 5}, id="resumed") as s:
        all_events = list(s)
    for seen in (1, 3, len(all_events) - 1):
        with join(server, "resumed", seen) as s:
            assert list(s) == all_events[seen:]


@pytest.mark.parametrize("last", ["", "x", "-1", "0", "99999999", "1e3"])
def test_an_unknown_last_event_id_begins_at_the_start(server, last):
    server.ask("PUT", "/predictions/start", {"input": {"n": 1}})
    with join(server, "start", last) as s:
        assert next(iter(s)).name == "start"


def test_head_does_not_wait_for_events(server, gate):
    name, go = gate
    with stream(server, {"wait": name}, "PUT", "/predictions/head") as s:
        s.until("output")
        for path in ("/predictions/head/stream", "/v1/predictions/head/stream"):
            answer = server.ask("HEAD", path)
            assert (answer.status, answer.headers["content-type"], answer.body) == (
                200,
                "text/event-stream",
                b"",
            )
        go()
        assert s.until("completed")[-1].data["status"] == "succeeded", "nobody has left"


def test_a_reader_that_has_seen_the_end_is_told_not_to_reconnect(server):
    with stream(server, {"n": 1}, id="ended") as s:
        last = list(s)[-1].id
    with join(server, "ended", last) as s:
        assert s.status == 204


@pytest.mark.parametrize(("capacity", "replayed"), [("0", 0), ("2", 2), ("100", 100)])
def test_the_history_has_the_configured_length(start, capacity, replayed):
    server = start(MODEL, env={"COG_STREAM_HISTORY_CAPACITY": capacity})
    go = pathlib.Path(f"/proc/{server.runner()}/cwd").resolve() / "go"
    body = {"n": 200, "wait": "go", "end": "more"}
    with stream(server, body, "PUT", "/predictions/long") as first:
        for _ in range(200):
            first.until("output")
        with stream(server, body, "PUT", "/predictions/long") as late:
            go.touch()
            seen = list(late)
    assert seen[0].name == "error" and set(seen[0].data) == {"error", "skipped"}
    assert seen[0].data["skipped"] == int(seen[1].id) - 1, "the events that were not replayed"
    assert len(named(seen, "output")) <= replayed + 1 and named(seen, "output")[-1] == {
        "chunk": "last",
        "index": 200,
    }
    assert seen[-1].name == "completed" and len(seen[-1].data["output"]) == 201


def test_a_reader_of_a_v1_stream_gets_dropped_events_as_a_comment(server):
    """Its clients read any event named "error" as the end."""
    server.predict({"n": 70_000}, id="forgotten")
    with Stream(server.port, "GET", "/v1/predictions/forgotten/stream") as s:
        seen = list(s)
    missed = [int(comment.split()[0]) for comment in s.comments if "events were dropped" in comment]
    assert len(missed) == 1 and missed[0] == int(seen[0].id) - 1 > 0
    texts = [event.text for event in seen if event.name == "output"]  # logs may come after them
    assert (texts[-1], seen[-1].name) == ("69999", "done")


# Readers that leave, and readers that are slow


def test_the_last_reader_that_leaves_cancels(server):
    first = stream(server, {"end": "hang"}, "PUT", "/predictions/left")
    first.until("output")
    second = join(server, "left")
    second.until("output")
    first.close()
    until(
        "one reader is left",
        lambda: server.get("/predictions/left").json["output"] == ["0", "1", "2"],
    )
    assert server.get("/predictions/left").json["status"] == "processing"
    second.close()
    body = server.ended("left")
    assert (body["status"], body["output"]) == ("canceled", ["0", "1", "2"])


@pytest.mark.parametrize("early", [b"\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"])
def test_a_reader_that_sends_more_and_leaves_is_noticed(server, early):
    id = f"early-{len(early)}"
    body = json.dumps({"id": id, "input": {"end": "hang"}})
    head = [
        "POST /predictions HTTP/1.1",
        "Host: x",
        "Accept: text/event-stream",
        f"Content-Length: {len(body)}",
    ]
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall("\r\n".join([*head, "Content-Type: application/json", "", body]).encode())
        until(
            "it has yielded",
            lambda: server.get(f"/predictions/{id}").json.get("output") == ["0", "1", "2"],
        )
        client.sendall(early)
    assert server.ended(id, 5)["status"] == "canceled"


def test_a_reader_that_leaves_a_detached_prediction_does_not_cancel_it(server, gate):
    name, go = gate
    server.predict({"wait": name}, {"Prefer": "respond-async"}, id="stays")
    with join(server, "stays") as s:
        s.until("output")
    go()
    assert server.ended("stays")["status"] == "succeeded"


def test_a_cancel_ends_the_stream(server):
    with stream(server, {"end": "hang"}, id="canceled") as s:
        s.until("output")
        assert server.ask("POST", "/predictions/canceled/cancel").status == 200
        assert s.until("completed")[-1].data["status"] == "canceled"


def test_a_reader_that_stops_reading_delays_nothing_and_is_given_up(start):
    server = start(MODEL, "--stream-timeout", "1s")
    body = json.dumps({"id": "slow", "input": {"n": 100, "size": 200_000, "wait": "never"}})
    head = [
        "POST /predictions HTTP/1.1",
        "Host: x",
        "Accept: text/event-stream",
        f"Content-Length: {len(body)}",
    ]
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall("\r\n".join([*head, "", body]).encode())
        until("it runs", lambda: server.get("/predictions/slow").status == 200)
        assert server.ended("slow", 30)["status"] == "canceled", "its only reader is gone"
    assert server.health()["status"] == "READY"


def test_many_slow_readers_share_one_memory(start):
    server = start(MODEL)
    server.predict({"n": 100, "size": 150_000}, id="big")
    before = server.memory()
    readers = [join(server, "big") for _ in range(20)]
    for reader in readers:
        assert reader.until("output")
    assert server.health()["status"] == "READY"
    grown = server.memory() - before
    for reader in readers:
        reader.close()
    assert grown < 150 << 20, f"20 readers of 30 MB made the server grow by {grown >> 20} MB"


# Comments


def test_comments_keep_a_quiet_stream_open(start):
    server = start(MODEL, "--stream-keep-alive", "50ms")
    go = pathlib.Path(f"/proc/{server.runner()}/cwd").resolve() / "go"
    with stream(server, {"wait": "go"}, id="quiet") as s:
        timer = threading.Timer(0.3, go.touch)
        timer.start()
        assert s.until("completed")
        timer.join()
        assert s.comments and set(s.comments) == {"keep-alive"}


@pytest.mark.parametrize("flag", ["--stream-keep-alive=0s", "--stream-timeout=0s"])
def test_an_invalid_duration_is_refused(tmp_path, flag):
    (tmp_path / "predict.py").write_text(PLAIN)
    command = [str(BINARY), "--predict", "predict.py:Predictor", flag, str(tmp_path)]
    tried = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert tried.returncode == 2 and "must be positive" in tried.stderr


# Readers that come back after a kill of the server


def test_a_reader_that_reconnects_to_the_next_server_sees_the_end(start, tmp_path):
    flags = ["--working-dir", str(tmp_path / "dir")]
    first = start(MODEL, *flags)
    first.predict({"n": 2}, {"Prefer": "respond-async"}, id="kept")
    body = first.ended("kept")
    first.kill()
    second = start(MODEL, *flags)
    for last in (None, 1, 3, 57):
        with join(second, "kept", last) as s:
            events = list(s)
        assert [e.name for e in events] == ["completed"] and events[0].data["output"] == body[
            "output"
        ]
