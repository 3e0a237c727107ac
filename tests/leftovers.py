"""Checks that tests leave no process, thread or port behind."""

from __future__ import annotations

import contextlib
import os
import pathlib
import threading
import uuid
from collections.abc import Iterator

from http_harness import processes
from waiting import until


def listening() -> set[str]:
    """Return the sockets of this process that wait for connections."""
    lines = [
        line.split() for line in pathlib.Path("/proc/self/net/tcp").read_text().splitlines()[1:]
    ]
    waiting = {f"socket:[{fields[9]}]" for fields in lines if fields[3] == "0A"}
    own = set()
    for fd in os.listdir("/proc/self/fd"):
        try:
            own.add(os.readlink(f"/proc/self/fd/{fd}"))
        except FileNotFoundError:  # the descriptor that lists the directory
            continue
    return own & waiting


@contextlib.contextmanager
def no_leftovers() -> Iterator[None]:
    """Check at the end that every process, thread and port existed at the beginning."""
    mark = f"COGGO_TEST_FILE={uuid.uuid4().hex}"
    name, _, value = mark.partition("=")
    threads, ports = set(threading.enumerate()), listening()
    os.environ[name] = value
    yield
    del os.environ[name]
    until("every process has ended", lambda: not processes(mark), 60)
    until("every thread has ended", lambda: set(threading.enumerate()) <= threads, 60)
    assert listening() <= ports
