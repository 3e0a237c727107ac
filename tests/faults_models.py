"""What the tests of faults share: models that can be killed in the middle, and ways to look at what
is left.
"""

from __future__ import annotations

import os
import pathlib
import socket
from typing import Any

from http_harness import Receiver, Server, is_runner
from waiting import until

ASYNC = {"Prefer": "respond-async"}
TERMINAL = ("succeeded", "failed", "canceled")

#: Yields and prints, and then does what ``deed`` says. ``gate`` is a file that it waits for.
MODEL = """
import ctypes, os, resource, signal, subprocess, time
from typing import Iterator
from cog import BasePredictor

def too_much():
    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
    return b"x" * (4 << 30)

def daemon():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(600)
        os._exit(0)
    os.wait()

def brief():
    if os.fork() == 0:
        if os.fork() == 0:
            time.sleep(0.1)
        os._exit(0)
    os.wait()

DEEDS = {
    "kill": lambda: os.kill(os.getpid(), 9),
    "term": lambda: os.kill(os.getpid(), 15),
    "segfault": lambda: ctypes.string_at(0),
    "abort": os.abort,
    "overflow": lambda: ctypes.CDLL(None).regcomp(ctypes.create_string_buffer(256), b"(" * 5_000_000, 1),
    "exit": lambda: os._exit(7),
    "exit 0": lambda: os._exit(0),
    "memory": too_much,
    "descriptors": lambda: os.closerange(3, 1024),
    "child": lambda: subprocess.Popen(["sleep", "600"]),
    "session": lambda: subprocess.Popen(["sleep", "600"], start_new_session=True, env={}),
    "silent": lambda: subprocess.Popen(["sleep", "600"], start_new_session=True, stdout=-3, stderr=-3),
    "daemon": daemon,
    "brief": brief,
    "pause": lambda: time.sleep(0.5),
    "stubborn": lambda: signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals)),
}

class Predictor(BasePredictor):
    def setup(self):
        if os.environ.get("IN_SETUP"):
            DEEDS[os.environ["IN_SETUP"]]()
    def predict(self, deed: str = "", gate: str = "", s: float = 0, n: int = 0) -> Iterator[str]:
        print("line", n, flush=True)
        yield f"part {n}"
        for one in filter(None, deed.split(",")):
            DEEDS[one]()
        end = time.monotonic() + s
        while gate and not os.path.exists(gate) or time.monotonic() < end:
            time.sleep(0.01)
"""

ASYNC_MODEL = (
    MODEL.replace("import ctypes", "import asyncio, ctypes")
    .replace("    def predict", "    async def predict")
    .replace("Iterator", "AsyncIterator")
    .replace("time.sleep(0.01)", "await asyncio.sleep(0.01)")
)


def begun(server: Server, id: str) -> None:
    """Wait until the prediction has yielded and printed."""

    def look() -> bool:
        found = server.get(f"/predictions/{id}").json
        return bool(found["output"] and found["logs"])

    until(f"{id} has begun", look)


def ends(receiver: Receiver) -> dict[str, list[str]]:
    """The terminal statuses that a receiver has acknowledged or refused, by id."""
    found: dict[str, list[str]] = {}
    for body in list(receiver.got):
        if body["status"] in TERMINAL:
            found.setdefault(body["id"], []).append(body["status"])
    return found


def family(server: Server) -> list[int]:
    """The children of the server, zombies included, without the runner."""
    children = pathlib.Path(f"/proc/{server.process.pid}/task").glob("*/children")
    return [p for f in children for p in map(int, f.read_text().split()) if not is_runner(p)]


def descriptors(pid: int) -> int:
    """How many descriptors a process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def files_in(directory: pathlib.Path) -> list[str]:
    """Every file below a directory, by its path from there; what goes meanwhile is gone."""
    return sorted(
        os.path.relpath(os.path.join(at, name), directory)
        for at, _, names in os.walk(directory)
        for name in names
    )


def free_port() -> str:
    """A port for servers that are started one after the other."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def asked(server: Server, input: Any, **envelope: Any) -> None:
    """An asynchronous prediction that is taken."""
    answer = server.predict(input, ASYNC, **envelope)
    assert answer.status == 202, answer
