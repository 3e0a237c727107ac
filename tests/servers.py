"""The server under test, its interpreter, and who starts both for a test.

No test imports these from a conftest.py: several directories have one, and the name is that of the
one that pytest has read last.
"""

from __future__ import annotations

import functools
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from http_harness import Server
from queue_harness import Fleet, Front

ROOT = pathlib.Path(__file__).resolve().parents[1]

# With it Python writes each print at once, and no test could find output that stays in a buffer.
os.environ.pop("PYTHONUNBUFFERED", None)

#: The server under test; another build of it, with the race detector for example, can be named
#: instead.
BINARY = pathlib.Path(os.environ.get("COGGO_SERVER") or ROOT / "bin" / "coggo-server")

#: Whether the tests of HTTP run through a gateway with workers in place of one server.
THROUGH_A_QUEUE = os.environ.get("COGGO_TEST_QUEUE") == "1"

#: For a test with a bound for the memory of the server.
measures_memory = pytest.mark.no_race(
    reason="the race detector takes several times the memory of the server"
)


@functools.cache
def real_python() -> str:
    """Return an interpreter that has no packages.

    Those of this machine may import themselves at every start by their .pth files, and a shim
    before the interpreter starts a shell: each takes longer than the whole startup of a runner.
    """
    made = ROOT / "bin" / "python-{}.{}.{}".format(*sys.version_info)
    if not made.exists():
        made.parent.mkdir(exist_ok=True)
        half = tempfile.mkdtemp(dir=made.parent, prefix=".python-")
        venv.create(half, symlinks=True)
        os.chmod(half, 0o755)  # for tests whose server runs as another user
        try:
            os.rename(half, made)
        except OSError:  # another worker was faster
            shutil.rmtree(half)
    return str(made / "bin" / "python3")


def start_error(*words: object, code: int = 1, env: Mapping[str, str] | None = None) -> str:
    """Run a server that must not start, check its exit code, and return its error."""
    flags = ["--host", "127.0.0.1", "--port", "0", "--predict", "predict.py:Predictor"]
    done = subprocess.run(
        [BINARY, *flags, *map(str, words)], env=env, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == code, (done.returncode, done.stderr)
    return done.stderr


class Starter:
    """Starts servers and stops them at the end. They must leave nothing behind.

    With workers a server is a gateway with a broker and so many workers.
    """

    def __init__(self, directories: pytest.TempPathFactory, workers: int = 0) -> None:
        self._directories = directories
        self._workers = workers
        self._servers: list[Server] = []

    def __call__(self, source: str = "", *flags: str, ready: bool = True, **options: Any) -> Server:
        """Start a server for the source of a model, or for a directory given as ``model_dir``."""
        directory = options.pop("model_dir", None) or self._directories.mktemp("model")
        if source:
            (directory / "predict.py").write_text(source)
        python = options.pop("python", None) or real_python()
        if self._workers:
            return self._start_front(directory, python, flags, ready, **options)
        server = Server(BINARY, directory, python, flags, **options)
        self._servers.append(server)
        server.wait_listening()
        if ready:
            server.wait_status("READY")
        return server

    def _start_front(
        self,
        directory: pathlib.Path,
        python: str,
        flags: Sequence[str],
        ready: bool,
        **options: Any,
    ) -> Server:
        gateway = self._directories.mktemp("gateway")
        front = Front(BINARY, python, directory, gateway, flags, self._workers, **options)
        self._servers.append(front)
        front.wait_listening(ready)
        return front

    def close(self) -> None:
        for server in self._servers:
            server.close()


class FleetStarter:
    """Starts fleets, each with a broker of its own, and stops all of them at the end."""

    def __init__(self, directories: pytest.TempPathFactory) -> None:
        self._directories = directories
        self._fleets: list[Fleet] = []

    def __call__(self, source: str = "", *flags: str, **options: Any) -> Fleet:
        """Start a fleet: with a source, two workers and two gateways; else a broker alone."""
        given = {} if source else options  # else they are those of the broker
        fleet = Fleet(BINARY, real_python(), self._directories.mktemp, **given)
        self._fleets.append(fleet)
        return fleet.serve(source, *flags, **options) if source else fleet

    def close(self) -> None:
        for fleet in self._fleets:
            fleet.close()
