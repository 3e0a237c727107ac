"""The work of every task of ``make bench-queue``: the same lines for each queue.

A task without ``seconds`` does nothing. The others write when they begin and end into the file
``runs`` of the directory that LEDGER names, and hold a lock while they run: the kernel drops it
however a run ends, so the benchmark sees when it has stopped.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
import uuid
from collections.abc import Iterator


@contextlib.contextmanager
def noted(name: str) -> Iterator[str]:
    """Note one run of a task; its id is the output of the task."""
    run, ledger = uuid.uuid4().hex, os.environ["LEDGER"]
    with open(f"{ledger}/{run}", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        note(ledger, f"begin {name} {run} {os.getpid()} {os.getppid()} {time.time()}\n")
        yield run
        note(ledger, f"end {name} {run} {os.getpid()} {os.getppid()} {time.time()}\n")


def note(ledger: str, line: str) -> None:
    """Append a line; those of several processes do not mix."""
    file = os.open(f"{ledger}/runs", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, line.encode())
    finally:
        os.close(file)


def work(name: str, seconds: float = 0.0) -> str:
    if not seconds:
        return "hello " + name
    with noted(name) as run:
        time.sleep(seconds)
    return run
