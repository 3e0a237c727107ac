"""The kernel fails: files can't be opened, and a killed process does not exit."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import sys
from collections.abc import Iterator

import pytest

from http_harness import Server
from waiting import alive, until

MODEL = """
import os, time
from cog import BasePredictor, ConcatenateIterator
class Predictor(BasePredictor):
    def predict(self, go: str = "", die: bool = False) -> ConcatenateIterator[str]:
        yield "first "
        while go and not os.path.exists(go): time.sleep(0.01)
        yield "last"
        if die: os._exit(3)
"""


@contextlib.contextmanager
def no_more_files(server: Server) -> Iterator[None]:
    """Make the server unable to open files and accept connections."""
    pid = server.process.pid
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


def begun(server: Server, id: str, **input: object) -> None:
    server.predict(input, {"Prefer": "respond-async"}, id=id)
    until("it has begun", lambda: server.get(f"/predictions/{id}").json["output"] == ["first "])


@pytest.mark.parametrize("die", [False, True])
def test_an_unreadable_response_is_read_later(start, tmp_path, die):
    server, go = start(MODEL), tmp_path / "go"
    spool, runner = server.spool(), server.runner()
    begun(server, "later", go=str(go), die=die)
    with no_more_files(server):
        go.touch()
        if die:
            until("the model process has ended", lambda: not os.path.exists(f"/proc/{runner}"))
        else:
            until("the model has answered", lambda: (spool / "response-later.json").exists())
        until("the server has tried", lambda: "can't be read: too many open files" in server.log())
    end = server.ended("later")
    assert end["output"] == ["first ", "last"]
    if die:
        assert (end["status"], end["error"]) == ("failed", "the model process died: exit status 3")
    else:
        assert (end["status"], end["error"]) == ("succeeded", None)
    server.wait_status("READY")


def test_a_response_that_stays_unreadable_fails_and_the_runner_is_replaced(start, tmp_path):
    server, go = start(MODEL, "--cancel-grace", "500ms"), tmp_path / "go"
    spool, runner = server.spool(), server.runner()
    begun(server, "never", go=str(go))
    with no_more_files(server):
        go.touch()
        until("the model has answered", lambda: (spool / "response-never.json").exists())
        until("its process is replaced", lambda: not alive(runner), 30)
        until(
            "it cannot be read",
            lambda: (
                "no runner could be started" in server.log()
                or "no runner can start" in server.log()
            ),
        )
    end = server.ended("never")
    assert (end["status"], end["error"]) == (
        "failed",
        "a file of the model process can't be read: too many open files",
    )
    assert end["output"] == ["first ", "last"], "the events file was already open"
    server.wait_status("READY")
    assert server.predict({}).json["output"] == ["first ", "last"]


@contextlib.contextmanager
def undying(pid: int) -> Iterator[None]:
    """Make a process that does not exit when it is killed, like one that hangs in a driver. The
    kernel keeps it because its debugger, which is stopped, has not read its status yet.
    """
    seize = "import ctypes, os, sys; assert ctypes.CDLL(None).ptrace(0x4206, int(sys.argv[1]), 0, 0) == 0; print(flush=True)"
    command = [sys.executable, "-c", seize + "; sys.stdin.read()", str(pid)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as debugger:
        try:
            if debugger.stdout and debugger.stdout.read(1) != b"\n":
                pytest.skip("this machine does not allow debugging a process that is not a child")
            yield
        finally:
            debugger.kill()


STUBBORN = """
import time
class Predictor:
    def predict(self, s: float = 0) -> str:
        end = time.monotonic() + s
        while time.monotonic() < end:
            try: time.sleep(0.1)
            except BaseException: pass
        return "done"
"""


def test_a_process_that_does_not_exit_delays_neither_its_prediction_nor_the_shutdown(
    start, receiver
):
    server = start(STUBBORN, "--cancel-grace", "300ms", expect_exit=1)
    with undying(server.runner()):
        server.predict({"s": 60}, {"Prefer": "respond-async"}, id="stuck", webhook=receiver.url)
        server.ask("POST", "/predictions/stuck/cancel")
        assert server.process.wait(30) == 1, "an orchestrator should restart the container then"
    assert receiver.statuses() == ["processing", "canceled"]
    assert "killed 15s ago and has not exited: it hangs in the kernel" in server.log()


@pytest.mark.timed
@pytest.mark.parametrize("canceled", [False, True])
def test_a_process_that_does_not_exit_does_not_delay_a_requested_shutdown(
    start, receiver, canceled
):
    """The steps after the grace period take 8 s. There are 4 s more, because the machine may be
    busy.
    """
    server = start(STUBBORN, "--runner-shutdown-grace-period", "1", expect_exit=0)
    with undying(server.runner()):
        server.predict({"s": 60}, {"Prefer": "respond-async"}, id="stuck", webhook=receiver.url)
        receiver.wait(1)
        if canceled:
            server.ask("POST", "/predictions/stuck/cancel")
        server.process.terminate()
        assert server.process.wait(1 + 8 + 4) == 0
    if not canceled:
        assert receiver.statuses() == ["processing", "failed"]


def test_one_of_several_runners_that_does_not_exit_is_replaced_once_it_does(start):
    server = start(STUBBORN, "--cancel-grace", "300ms", "--runners", "2")
    first, second = (runner["pid"] for runner in server.health()["runners"])
    with undying(first), undying(second):
        server.predict({"s": 60}, {"Prefer": "respond-async"}, id="stuck")
        server.ask("POST", "/predictions/stuck/cancel")
        assert server.ended("stuck", 30)["status"] == "canceled"
        assert sorted(runner["status"] for runner in server.health()["runners"]) == [
            "DEFUNCT",
            "READY",
        ]
        assert server.predict({}).json["output"] == "done"
    until(
        "both are ready",
        lambda: {runner["status"] for runner in server.health()["runners"]} == {"READY"},
    )
    assert len({first, second} & {runner["pid"] for runner in server.health()["runners"]}) == 1
