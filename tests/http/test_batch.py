"""Models with @cog.batch: one call answers several predictions."""

from __future__ import annotations

import http.client
import os
import re
import signal
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from http_harness import Answer, Server
from model_sources import model_source
from waiting import until

#: A model that its inputs control. Each kind of function has the same body.
KINDS = {"sync": model_source("http/batch"), "async": model_source("http/batch_async")}


def source(kind: str, ms: int) -> str:
    """The model, with this max_wait."""
    return KINDS[kind].replace("max_wait_ms=60_000", f"max_wait_ms={ms}")


@pytest.fixture(scope="module", params=KINDS)
def server(request: pytest.FixtureRequest, start_once: Any) -> Server:
    """A server whose batches wait until they are full, so that on any machine four predictions are
    one call.
    """
    return start_once(source(request.param, 60_000))


@pytest.fixture(scope="module", params=KINDS)
def hasty(request: pytest.FixtureRequest, start_once: Any) -> Server:
    """A server whose batches do not wait."""
    return start_once(source(request.param, 0))


def together(server: Server, *inputs: dict[str, Any], **more: Any) -> list[Answer]:
    """Run predictions in one call: four of them fill a batch."""
    with ThreadPoolExecutor(len(inputs)) as pool:
        return list(pool.map(lambda given: server.predict(given, **more), inputs))


def items(*do: str) -> list[dict[str, Any]]:
    return [{"s": f"s{n}", "do": one} for n, one in enumerate(do)]


def begin(server: Server, id: str, **input: Any) -> None:
    answer = server.predict({"s": id, **input}, {"Prefer": "respond-async"}, id=id)
    assert answer.status == 202, answer.body


def test_the_schema_is_that_of_one_item(server: Server) -> None:
    schemas = server.get("/openapi.json").json["components"]["schemas"]
    properties = schemas["Input"]["properties"]
    assert properties["s"] == {"title": "S", "type": "string", "x-order": 0}
    assert (properties["file"]["type"], properties["file"]["format"]) == ("string", "uri")
    assert schemas["Input"]["required"] == ["s"]
    assert schemas["Output"] == {"title": "Output", "type": "string"}
    assert server.predict({"s": ["a", "b"]}).status == 422


def test_concurrency_is_the_size_of_a_batch(server: Server) -> None:
    assert server.health()["concurrency"] == {"max": 4, "current": 0}


def test_each_member_gets_its_own_result(server: Server) -> None:
    answers = together(server, *items("", "", "", ""))
    assert [a.json["output"] for a in answers] == [f"s{n} of 4" for n in range(4)]
    for n, answer in enumerate(answers):
        assert answer.json["metrics"]["mine"] == f"s{n}"
        assert answer.json["metrics"]["batch_size"] == 4
    assert len({a.json["metrics"]["call"] for a in answers}) == 1, "it was more than one call"
    until("all slots are free", lambda: server.health()["concurrency"] == {"max": 4, "current": 0})


def test_a_batch_of_one_starts_at_once_without_max_wait(hasty: Server) -> None:
    found = hasty.predict({"s": "alone"}).json
    assert (found["output"], found["metrics"]["batch_size"]) == ("alone of 1", 1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_of_one_starts_after_max_wait(start: Any, kind: str) -> None:
    assert start(source(kind, 20)).predict({"s": "alone"}).json["output"] == "alone of 1"


def test_an_exception_in_the_list_fails_its_own_member(server: Server) -> None:
    answers = together(server, *items("", "fail", "", ""))
    assert [a.json["status"] for a in answers] == ["succeeded", "failed", "succeeded", "succeeded"]
    assert answers[1].json["error"] == "bad s1"


def test_an_exception_of_the_call_fails_every_member_and_shows_no_other_members_input(
    server: Server,
) -> None:
    for do, kind, text in (
        ("all fail", "RuntimeError", "the whole batch failed"),
        ("exit", "SystemExit", "sys.exit(3)"),
    ):
        answers = together(server, *items("", do, "", ""))
        (error,) = {a.json["error"] for a in answers}
        found = re.match(
            rf"{kind} in batch ([0-9a-f]{{8}}): the text is in the server's log", error
        )
        assert found and text not in error, error
        assert {(a.json["status"], a.json["logs"]) for a in answers} == {("failed", "")}
        line = rf"\[batch {found[1]}\] .*{re.escape(text)}"
        until("the server's log has it", lambda line=line: re.search(line, server.log()))  # type: ignore[misc]


def test_an_exception_of_a_call_for_one_has_its_own_traceback(hasty: Server) -> None:
    for do, text in (
        ("all fail", "the whole batch failed"),
        ("exit", "the model called sys.exit(3)"),
    ):
        found = hasty.predict({"s": "alone", "do": do}).json
        assert (found["status"], found["error"]) == ("failed", text)
        assert "in predict" in found["logs"]


@pytest.mark.parametrize(
    ("do", "words"),
    [
        ("few", ["a batch of 4 got 3 results", "one for each prediction"]),
        ("text", ["a list", "not str"]),
    ],
)
def test_a_wrong_number_of_results_is_a_clear_error(
    server: Server, do: str, words: list[str]
) -> None:
    for answer in together(server, *items("", do, "", "")):
        assert answer.json["status"] == "failed"
        assert all(word in answer.json["error"] for word in words), answer.json["error"]


def test_an_invalid_input_takes_no_place_in_a_batch(server: Server) -> None:
    answers = together(server, *items("", "", "nonsense", "", ""))
    assert [a.status for a in answers] == [200, 200, 422, 200, 200]
    assert [a.json.get("output") for a in answers] == [
        "s0 of 4",
        "s1 of 4",
        None,
        "s3 of 4",
        "s4 of 4",
    ]


def test_output_of_a_call_for_several_is_only_in_the_servers_log(server: Server) -> None:
    answers = together(server, *items("print", "", "", ""))
    assert {(a.json["status"], a.json["logs"]) for a in answers} == {("succeeded", "")}

    until("the server has passed it on", lambda: "no end" in server.log())
    name = re.findall(r"\[batch ([0-9a-f]{8})\] call for", server.log())[-1]
    said = re.findall(rf"\[batch {name}\] (.*)\n", server.log())
    assert sorted(said[0].split()[2:]) == ["s0", "s1", "s2", "s3"]
    assert sorted(said[1:]) == ["no end", "to stderr"]


def test_output_of_a_call_for_one_is_in_its_logs(hasty: Server) -> None:
    assert (
        hasty.predict({"s": "alone", "do": "print"}).json["logs"]
        == "call for alone\nto stderr\nno end\n"
    )
    assert hasty.predict({"s": "alone"}).json["logs"] == ""


@pytest.mark.parametrize("kind", KINDS)
def test_with_share_logs_every_member_gets_the_output_of_the_call(start: Any, kind: str) -> None:
    server = start(source(kind, 60_000).replace("max_size=4", "max_size=4, share_logs=True"))
    for answer in together(server, *items("print", "", "", "")):
        logs = answer.json["logs"]
        assert sorted(logs.split("\n")[0].split()[2:]) == ["s0", "s1", "s2", "s3"]
        assert logs.endswith("\nto stderr\nno end\n")
    until("the server has passed it on", lambda: "call for" in server.log())
    assert server.log().count("call for") == 1
    for answer in together(server, *items("", "all fail", "", "")):
        assert answer.json["error"] == "the whole batch failed"
        assert "in predict" in answer.json["logs"]


def test_cancel_before_the_call_removes_the_member(server: Server) -> None:
    for n in range(3):
        begin(server, f"c{n}")
    server.ask("POST", "/predictions/c1/cancel")
    assert server.ended("c1")["status"] == "canceled"
    for n in range(3, 5):
        begin(server, f"c{n}")
    assert [server.ended(f"c{n}")["output"] for n in (0, 2, 3, 4)] == [
        f"c{n} of 4" for n in (0, 2, 3, 4)
    ]


def test_cancel_during_the_call_lets_the_others_finish(server: Server, tmp_path: Any) -> None:
    gate = str(tmp_path / "gate")
    begin(server, "c0", do="wait", path=gate)
    for n in range(1, 4):
        begin(server, f"c{n}")
    until("the call runs", lambda: os.path.exists(gate + ".running"))
    assert server.predict({"s": "late"}).status == 409
    server.ask("POST", "/predictions/c2/cancel")
    until("the runner is told", lambda: list(server.spool().glob("cancel-*")))
    open(gate, "w").close()
    ended = [server.ended(f"c{n}") for n in range(4)]
    assert [e["status"] for e in ended] == ["succeeded", "succeeded", "canceled", "succeeded"]
    assert ended[3]["output"] == "c3 of 4"


def test_a_call_whose_members_are_all_canceled_is_interrupted(
    server: Server, tmp_path: Any
) -> None:
    gate = str(tmp_path / "never")
    for n in range(4):
        begin(server, f"c{n}", do="wait", path=gate)
    until("the call runs", lambda: os.path.exists(gate + ".running"))
    for n in range(4):
        server.ask("POST", f"/predictions/c{n}/cancel")
    assert {server.ended(f"c{n}")["status"] for n in range(4)} == {"canceled"}
    assert together(server, *items("", "", "", ""))[0].json["output"] == "s0 of 4"


@pytest.mark.parametrize("kind", KINDS)
def test_a_deadline_cancels_a_batch_and_not_the_next_one(start: Any, kind: str) -> None:
    server = start(source(kind, 60_000), "--predict-timeout", "1")
    never = str(server.temporary / "never")
    for answer in together(
        server, *({"s": f"s{n}", "do": "wait", "path": never} for n in range(4))
    ):
        assert answer.json["status"] == "canceled"
        assert "deadline" in answer.json["error"]
    os.remove(never + ".running")
    assert {a.json["status"] for a in together(server, *items("", "", "", ""))} == {"succeeded"}


def test_only_the_member_of_a_client_that_leaves_is_canceled(server: Server, tmp_path: Any) -> None:
    gate = str(tmp_path / "gate")
    leaving = http.client.HTTPConnection("127.0.0.1", server.port)
    body = '{"id": "leaving", "input": {"s": "x", "do": "wait", "path": "%s"}}' % gate
    leaving.request("POST", "/predictions", body, {"Content-Type": "application/json"})
    with ThreadPoolExecutor(3) as pool:
        rest = [pool.submit(server.predict, {"s": f"s{n}"}) for n in range(3)]
        until("the call runs", lambda: os.path.exists(gate + ".running"))
        leaving.close()
        open(gate, "w").close()
        assert {r.result().json["status"] for r in rest} == {"succeeded"}
    assert server.ended("leaving")["status"] in ("canceled", "succeeded")


def test_each_member_has_its_own_files(server: Server) -> None:
    given = [{"s": f"s{n}", "file": f"data:text/plain,text-{n}"} for n in range(4)]
    assert [a.json["output"] for a in together(server, *given)] == [
        f"s{n}:text-{n}" for n in range(4)
    ]


def test_a_crash_fails_every_member_and_the_next_batch_runs(start: Any) -> None:
    server = start(source("sync", 100))
    gate = str(server.temporary / "gate")
    for n in range(4):  # the last ones may wait for the next call
        begin(server, f"c{n}", do="wait", path=gate)
    until("the call runs", lambda: os.path.exists(gate + ".running"))
    os.remove(gate + ".running")
    os.kill(server.runner(), signal.SIGKILL)
    for n in range(4):
        assert "signal 9" in server.ended(f"c{n}")["error"]
    server.wait_status("READY")
    assert server.predict({"s": "next"}).json["output"] == "next of 1"


def test_train_runs_at_the_same_time_as_a_batched_predict(start: Any) -> None:
    server = start(
        """
import cog
class Predictor(cog.BasePredictor):
    @cog.batch(max_size=2, max_wait_ms=0)
    @cog.concurrent(max=8)
    def predict(self, n: list[int]) -> list[int]:
        return [-i for i in n]
    def train(self, n: int) -> int:
        print("training", n, end="")
        return n + 1
"""
    )
    assert server.health()["concurrency"]["max"] == 8
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: server.predict({"n": n}).json, range(40)))
    assert [a["output"] for a in answers] == [-n for n in range(40)]
    assert {a["metrics"]["batch_size"] for a in answers} <= {1, 2}
    for n in range(3):
        training = server.ask("POST", "/trainings", {"input": {"n": n}}).json
        assert (training["output"], training["logs"]) == (n + 1, f"training {n}\n")
    assert server.predict({"n": 1}).json["logs"] == ""


def test_fewer_slots_than_the_batch_could_hold_do_not_make_it_wait(start: Any) -> None:
    server = start(
        "import cog\n@cog.batch(max_size=64, max_wait_ms=60000)\ndef predict(s: list[str]) -> list[str]: return s\n",
        "--max-concurrency",
        "2",
        predict="predict.py:predict",
    )
    assert [a.json["output"] for a in together(server, {"s": "a"}, {"s": "b"})] == ["a", "b"]


def test_a_failing_setup_of_a_batched_model_is_reported(start: Any) -> None:
    broken = (
        source("sync", 0) + "\n    def setup(self):\n        raise RuntimeError('no weights')\n"
    )
    server = start(broken, ready=False)
    server.wait_status("SETUP_FAILED")
    assert "no weights" in server.health()["setup"]["logs"]
