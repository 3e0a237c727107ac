"""The real server, the real runner, a real webhook receiver: nothing here stands in for anything."""

from __future__ import annotations

import os
import pathlib
import sys
from collections.abc import Iterator
from typing import Any, Callable

import pytest

from http_harness import Receiver, Server

ROOT = pathlib.Path(__file__).resolve().parents[2]

#: The server under test; another build of it, with the race detector for example, can be named instead.
BINARY = pathlib.Path(os.environ.get("COGGO_SERVER") or ROOT / "bin" / "coggo-server")


def real_python() -> str:
    """The interpreter itself: a shim in front of it would cost more than the runner's whole boot."""
    return os.path.realpath(getattr(sys, "_base_executable", sys.executable))


@pytest.fixture
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """Start a server for the source of a model; all are stopped at the end and must leave nothing behind."""
    servers = []

    def start(source: str = "", *flags: str, ready: bool = True, **options: Any) -> Server:
        directory = options.pop("model_dir", None) or tmp_path_factory.mktemp("model")
        if source:
            (directory / "predict.py").write_text(source)
        server = Server(BINARY, directory, real_python(), flags, **options)
        servers.append(server)
        server.wait_listening()
        if ready:
            server.wait_status("READY")
        return server

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A webhook receiver that remembers what it got."""
    made = Receiver()
    yield made
    made.close()
