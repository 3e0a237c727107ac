"""Nobody reads the server's output: a full pipe does not delay answers."""

from __future__ import annotations

import json
import os
import pathlib
import signal

import pytest

from http_harness import Server, processes
from servers import BINARY, real_python
from waiting import alive, until

MODEL = """
import sys
from cog import BasePredictor
class Predictor(BasePredictor):
    def predict(self, lines: int = 0, to: str = "stdout") -> str:
        for n in range(lines):
            print(f"line {n} " + "x" * 90, file=getattr(sys, to))
        return "done"
"""

#: Both streams go to one pipe, and a reader passes its data on.
THROUGH_A_READER = 'mkfifo pipe && (cat <pipe &) && exec "$0" "$@" >pipe 2>&1'


@pytest.fixture
def server(start):
    command = ["sh", "-c", THROUGH_A_READER, str(BINARY), "--host", "127.0.0.1", "--port", "0"]
    return start(
        MODEL,
        command=[*command, "--python", real_python(), "--predict", "predict.py:Predictor", "."],
    )


@pytest.fixture
def reader(server: Server):
    """The process that reads the pipe."""
    found = processes(f"TMPDIR={server.temporary}")
    (pid,) = (p for p in found if pathlib.Path(f"/proc/{p}/comm").read_text() == "cat\n")
    yield pid
    if alive(pid):
        os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("to", ["stdout", "stderr"])
def test_a_reader_that_stops_does_not_delay_others(server, reader, to):
    os.kill(reader, signal.SIGSTOP)
    for _ in range(6):  # 3 MB through a pipe of 64 KiB
        body = server.predict({"lines": 5_000, "to": to}).json
        assert body["status"] == "succeeded" and body["logs"].count("\n") == 5_000
        assert server.health()["status"] == "READY"
    assert server.predict({"lines": 1}, {"Prefer": "respond-async"}).status == 202
    os.kill(server.runner(), signal.SIGKILL)
    until(
        "another runner works",
        lambda: server.predict({"lines": 0}).json.get("status") == "succeeded",
    )
    os.kill(reader, signal.SIGCONT)
    until(
        "the reader learns what it missed",
        lambda: "bytes of output are missing here" in server.log(),
    )
    assert server.log().count("line 4999 ") >= 1
    server.predict({"lines": 7, "to": to})
    until("nothing is lost any more", lambda: server.log().rstrip().endswith("line 6 " + "x" * 90))


def test_a_reader_that_stops_does_not_delay_the_shutdown(server, reader):
    os.kill(reader, signal.SIGSTOP)
    server.predict({"lines": 5_000})
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(30) == 0


def test_a_reader_that_is_gone_stops_nothing(server, reader):
    os.kill(reader, signal.SIGKILL)
    for _ in range(2):
        assert server.predict({"lines": 5_000}).json["status"] == "succeeded"
    assert server.health()["status"] == "READY"


def test_the_json_log_contains_only_whole_objects(start):
    command = ["sh", "-c", THROUGH_A_READER, str(BINARY), "--host", "127.0.0.1", "--port", "0"]
    rest = ["--access-log", "--python", real_python(), "--predict", "predict.py:Predictor", "."]
    server = start(MODEL, command=[*command, *rest], env={"LOG_FORMAT": "json"})
    found = processes(f"TMPDIR={server.temporary}")
    (reader,) = (p for p in found if pathlib.Path(f"/proc/{p}/comm").read_text() == "cat\n")
    os.kill(reader, signal.SIGSTOP)
    for _ in range(4):
        assert server.predict({"lines": 5_000}).json["logs"].count("\n") == 5_000
    os.kill(reader, signal.SIGCONT)
    missing = "output is missing here, because nobody read it"
    until("it is logged", lambda: missing in server.log())
    server.predict({"lines": 7}, id="last")
    until("nothing is lost any more", lambda: "line 6 " in server.log().split(missing)[-1])
    for line in server.log().split("\n")[:-1]:
        assert "msg" in json.loads(line)
