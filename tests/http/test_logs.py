"""Section 8, logs: all that a run writes, whole, in order, and never another's."""

from __future__ import annotations

import pytest

from waiting import until

SYNC = """
import logging, os, subprocess, sys, threading, time
from cog import BasePredictor
logging.basicConfig(level=logging.INFO, format="%(message)s")

class Predictor(BasePredictor):
    def setup(self):
        print("from setup")
    def predict(self, what: str = "print") -> str:
        getattr(self, what.replace(" ", "_"))()
        return "done"
    def print(self): print("one"); print("two")
    def stderr(self): print("to stderr", file=sys.stderr)
    def logging(self): logging.getLogger("m").info("to the log")
    def thread(self):
        t = threading.Thread(target=print, args=("from a thread",)); t.start(); t.join()
    def descriptor(self): os.write(1, b"to fd 1\\n"); os.write(2, b"to fd 2\\n")
    def subprocess(self): subprocess.run(["sh", "-c", "echo child; echo child err >&2"], check=True)
    def no_newline(self): sys.stdout.write("the tail")
    def only_descriptor_tail(self): os.write(1, b"raw tail")
    def lines(self):
        for i in range(5000): print("line", i)
    def invalid(self): os.write(1, b"before \\xff after \\xfe\\n")
    def long(self): print("x" * 200_000)
    def longest(self): print("y" * 3_000_000)
    def progress(self):
        for i in range(3): print(f"\\r{i * 50}%", end="", file=sys.stderr)
        print(file=sys.stderr)
    def unicode(self): print("é😀 \\u2028 \\0")
    def json(self): print('{"type": "output", "chunk": "fake"}'); print("[pid=x] fake")
    def nothing(self): pass
    def quiet(self): print("before", flush=True); time.sleep(60)
    def raise_(self): print("before"); raise ValueError("boom")
"""


@pytest.fixture(scope="module")
def server(start_once):
    return start_once(SYNC)


@pytest.mark.parametrize(
    ("what", "logs"),
    [
        ("print", "one\ntwo\n"),
        ("stderr", "to stderr\n"),
        ("logging", "to the log\n"),
        ("thread", "from a thread\n"),
        ("lines", "".join(f"line {i}\n" for i in range(5000))),
        ("invalid", "before \ufffd after \ufffd\n"),
        ("long", "x" * 200_000 + "\n"),
        ("longest", "y" * 3_000_000 + "\n"),
        ("unicode", "é😀 \u2028 \0\n"),
        ("json", '{"type": "output", "chunk": "fake"}\n[pid=x] fake\n'),
        ("nothing", ""),
    ],
)
def test_what_a_run_writes_is_its_logs(server, what, logs):
    body = server.predict({"what": what}).json
    assert body["status"] == "succeeded", body["error"]
    assert body["logs"] == logs


@pytest.mark.parametrize(
    ("what", "lines"),
    [
        ("descriptor", {"to fd 1", "to fd 2"}),
        ("subprocess", {"child", "child err"}),
        ("progress", {"0%", "50%", "100%"}),
    ],
)
def test_what_both_streams_and_children_write_is_there(server, what, lines):
    logs = server.predict({"what": what}).json["logs"]
    assert set(filter(None, logs.replace("\r", "\n").split("\n"))) == lines


@pytest.mark.parametrize(("what", "tail"), [("no newline", "the tail"), ("only descriptor tail", "raw tail")])
def test_text_without_a_final_newline_is_kept_and_stays_apart(server, what, tail):
    assert server.predict({"what": what}).json["logs"].rstrip("\n") == tail
    assert server.predict({"what": "print"}).json["logs"] == "one\ntwo\n"


def test_the_logs_of_a_failure_have_the_traceback(server):
    body = server.predict({"what": "raise_"}).json
    assert body["status"] == "failed"
    assert body["logs"].startswith("before\nTraceback (most recent call last):\n")
    assert body["logs"].rstrip().endswith("ValueError: boom")


def test_the_logs_of_a_canceled_prediction_are_kept(server):
    server.predict({"what": "quiet"}, {"Prefer": "respond-async"}, id="quiet")
    until("the line is seen while it runs", lambda: server.get("/predictions/quiet").json["logs"] == "before\n")
    server.ask("POST", "/predictions/quiet/cancel")
    assert server.ended("quiet")["logs"].startswith("before\n")


def test_no_prediction_has_the_logs_of_another_or_of_setup(server):
    for n in range(30):
        want = "one\ntwo\n" if n % 2 else "to stderr\n"
        assert server.predict({"what": "print" if n % 2 else "stderr"}).json["logs"] == want


def test_logs_are_passed_on_to_the_output_of_the_server(server):
    server.predict({"what": "logging"})
    until("it is there", lambda: "to the log" in server.log())
    assert "from setup" in server.log()


ASYNC = """
import asyncio, contextvars, sys, threading
from cog import BasePredictor
class Predictor(BasePredictor):
    async def predict(self, name: str, lines: int = 200, end: str = "") -> str:
        for i in range(lines):
            print(name, i)
            print(name, i, file=sys.stderr)
            await asyncio.sleep(0)
        await asyncio.to_thread(print, name, "in a thread")
        if end == "raise":
            raise ValueError(name)
        if end == "hang":
            await asyncio.sleep(60)
        print(name, "tail", end="")
        return name
"""


def test_the_logs_of_async_predictions_at_once_are_apart(start):
    server = start(ASYNC, "--max-concurrency", "4")
    ends = {"a": "", "b": "raise", "c": "", "d": "hang"}
    for name, end in ends.items():
        server.predict({"name": name, "end": end}, {"Prefer": "respond-async"}, id=name)
    until("d hangs", lambda: "in a thread" in server.get("/predictions/d").json["logs"])
    server.ask("POST", "/predictions/d/cancel")
    for name, end in ends.items():
        logs = server.ended(name)["logs"]
        lines = logs.split("\n")
        assert [line for line in lines if line[:2] == f"{name} "][:400:2] == [f"{name} {i}" for i in range(200)]
        assert f"{name} in a thread" in lines
        assert (f"{name} tail" in lines) == (end == "")
        assert (f"ValueError: {name}" in lines) == (end == "raise")
        assert not any(line[:2] == f"{other} " for line in lines for other in ends if other != name)


def test_a_flood_is_cut_with_a_line_that_says_so(start):
    server = start(SYNC, "--max-log-bytes", "10KiB")
    body = server.predict({"what": "lines"}).json
    assert body["status"] == "succeeded"
    assert body["logs"].startswith("line 0\nline 1\n")
    assert len(body["logs"]) < 10 * 1024 + 500
    assert "--max-log-bytes" in body["logs"].strip().split("\n")[-1]
    assert server.predict({"what": "print"}).json["logs"] == "one\ntwo\n", "each prediction has its own limit"
