"""Shared by the tests of faults: models that can be killed in the middle, and checks of the
results.
"""

from __future__ import annotations

import os
import pathlib
import socket
from typing import Any

from http_harness import Receiver, Server, is_runner
from model_sources import model_source
from waiting import until

ASYNC = {"Prefer": "respond-async"}
TERMINAL = ("succeeded", "failed", "canceled")

#: Yields and prints, then does what ``action`` says. ``gate`` is a file that it waits for.
MODEL = model_source("faults/models")

ASYNC_MODEL = model_source("faults/models_async")


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
    """The number of open descriptors of a process."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def files_in(directory: pathlib.Path) -> list[str]:
    """Return every file below a directory, by its relative path; files that disappear meanwhile are
    omitted.
    """
    return sorted(
        os.path.relpath(os.path.join(at, name), directory)
        for at, _, names in os.walk(directory)
        for name in names
    )


def free_port() -> str:
    """A free port for servers that run one after the other."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def asked(server: Server, input: Any, **envelope: Any) -> None:
    """Start an asynchronous prediction; it must be accepted."""
    answer = server.predict(input, ASYNC, **envelope)
    assert answer.status == 202, answer
