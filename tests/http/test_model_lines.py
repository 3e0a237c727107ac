"""With LOG_FORMAT=json the lines of the model are JSON objects too, each with its stream and the id
of its prediction.
"""

from __future__ import annotations

import json
import os
import signal

import pytest

from http_harness import Server
from model_sources import model_source
from waiting import until

JSON = {"LOG_FORMAT": "json"}
ASYNC = {"Prefer": "respond-async"}

MODEL = model_source("http/model_lines")

ASYNC_MODEL = """
import os, sys
class Predictor:
    async def predict(self, what: str = "") -> str:
        print("to stdout"); print("to stderr", file=sys.stderr); os.write(1, b"to fd 1\\n"); os.write(2, b"to fd 2\\n")
        if what == "fail": raise ValueError("boom")
        return "done"
"""


def lines(server: Server) -> list[dict]:
    """All lines of the log; each must be an object."""
    found = [json.loads(line) for line in server.log().split("\n")[:-1]]
    for line in found:
        assert {"time", "level", "msg"} <= set(line), line
    return found


def of(server: Server, id: str | None) -> list[tuple[str, str]]:
    """The lines of a prediction, or those without one."""
    return [
        (line["stream"], line["msg"])
        for line in lines(server)
        if "stream" in line and line.get("id") == id
    ]


def says(server: Server, id: str | None, *wanted: tuple[str, str]) -> None:
    until(f"{id} says {wanted}: {server.log()}", lambda: set(wanted) <= set(of(server, id)))


@pytest.fixture(scope="module")
def server(start_once):
    return start_once(MODEL, env=JSON)


OUT, ERR = "stdout", "stderr"


@pytest.mark.parametrize(
    ("what", "wanted"),
    [
        ("print", [(OUT, "to stdout"), (ERR, "to stderr")]),
        ("raw", [(OUT, "to fd 1"), (ERR, "to fd 2")]),
        ("child", [(OUT, "child out"), (ERR, "child err")]),
        ("dots", [(OUT, "." * 1000)]),
        ("bar", [(ERR, "all of it")]),
        ("odd", [(OUT, '"quoted" {"a": 1} \ufffd é \x1b[31m')]),
    ],
)
def test_a_line_has_its_stream_and_its_prediction(server, what, wanted):
    assert server.predict({"what": what, "n": 1000}, id=what).json["status"] == "succeeded"
    says(server, what, *wanted)
    assert sorted(of(server, what)) == sorted(wanted)


def test_lines_outside_any_prediction_have_no_id(server):
    says(
        server,
        None,
        (OUT, "at import"),
        (OUT, "from setup"),
        (ERR, "of setup, to stderr"),
        (ERR, "setup to fd 2"),
    )
    server.predict({"what": "daemon"}, id="daemon")
    says(server, None, (ERR, "from a daemon"))


def test_the_health_still_shows_the_logs_of_setup(server):
    logs = server.health()["setup"]["logs"]
    for text in ("from setup\n", "of setup, to stderr\n", "setup to fd 2\n"):
        assert text in logs


def test_a_traceback_is_one_object(server):
    server.predict({"what": "fail"}, id="fail")
    until("it is there", lambda: of(server, "fail"))
    ((stream, text),) = of(server, "fail")
    assert stream == ERR and text.startswith("Traceback") and text.endswith("ValueError: boom")


def test_a_line_of_megabytes_is_several_objects(server):
    server.predict({"what": "long", "n": 3_000_000}, id="long")
    until("it is there", lambda: sum(len(text) for _, text in of(server, "long")) == 3_000_000)
    mine = [line for line in lines(server) if line.get("id") == "long"]
    assert max(len(line["msg"]) for line in mine) <= 64 << 10
    assert [line.get("partial", False) for line in mine] == [True] * (len(mine) - 1) + [False]
    assert server.get("/predictions/long").json["logs"] == "y" * 3_000_000 + "\n"


def test_a_line_without_a_newline_is_logged_before_it_ends(server):
    server.predict({"what": "torn"}, ASYNC, id="torn")
    says(server, "torn", (OUT, "no end"))
    assert [line["partial"] for line in lines(server) if line.get("id") == "torn"] == [True]
    server.ask("POST", "/predictions/torn/cancel")
    server.ended("torn")


def test_output_of_a_runner_that_dies_is_kept(start):
    server = start(MODEL, env=JSON)
    server.predict({"what": "die"}, id="last")
    assert server.line("runner ended")["predictions"] == ["last"]
    says(server, "last", (OUT, "half"), (ERR, "its last words"))


def test_lines_of_a_failed_setup_are_logged(start):
    source = "import os\nclass Predictor:\n    def setup(self): os.write(2, b'bad'); 1 / 0\n    def predict(self) -> str: return ''\n"
    server = start(source, env=JSON, ready=False)
    server.wait_status("SETUP_FAILED")
    until("it is there", lambda: any("ZeroDivisionError" in text for _, text in of(server, None)))
    assert (ERR, "bad") in of(server, None)


def test_lines_of_concurrent_models_are_logged(start):
    server = start(ASYNC_MODEL, "--max-concurrency", "4", env=JSON)
    server.predict({"what": "fail"}, id="a")
    says(server, "a", (OUT, "to stdout"), (ERR, "to stderr"))
    says(server, None, (OUT, "to fd 1"), (ERR, "to fd 2"))  # nothing tells which of them wrote it
    assert any("ValueError: boom" in text for _, text in of(server, "a"))


def test_several_runners_are_distinguishable(start):
    server = start(MODEL, "--runners", "2", env=JSON)
    server.predict({}, id="it")
    says(server, "it", (OUT, "to stdout"))
    until(
        "both", lambda: {x["runner"] for x in lines(server) if x["msg"] == "from setup"} == {0, 1}
    )
    assert next(x["runner"] for x in lines(server) if x.get("id") == "it") in (0, 1)


def test_the_logs_of_a_prediction_are_complete(server):
    body = server.predict({"what": "raw"}).json
    assert sorted(body["logs"].splitlines()) == ["to fd 1", "to fd 2"]


def test_the_last_line_before_the_end_is_logged(start):
    server = start(MODEL, env=JSON)
    server.predict({"what": "torn"}, ASYNC, id="torn")
    until("it has begun", lambda: server.get("/predictions/torn").json["logs"])
    for _ in range(2):
        os.kill(server.process.pid, signal.SIGINT)
        until("the shutdown has begun", lambda: server.lines("shutting down"))
    server.process.wait(20)
    assert (OUT, "no end") in of(server, "torn")


def test_without_json_the_lines_are_as_they_were_written(start):
    server = start(MODEL, env={"LOG_FORMAT": "text"})
    server.predict({"what": "odd"})
    until("it is there", lambda: '"quoted" {"a": 1} ' in server.log())
    assert (
        "\x1b[31m\r\n\n" in server.log()
        and "from setup\nof setup, to stderr\nsetup to fd 2\n" in server.log()
    )
