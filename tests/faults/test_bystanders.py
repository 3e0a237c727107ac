"""All processes that a runner started end with it, even after setsid or with a cleared environment.
No other process ends.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import os
import pathlib
import signal
import subprocess
from collections.abc import Iterator

import pytest

from model_sources import model_source
from servers import BINARY, real_python
from waiting import alive, until

#: Starts a process in one of several ways, with a cleared environment, and returns its pid and that
#: of the runner. With a ``meeting`` it first waits for another runner with the same one.
MODEL = model_source("faults/bystanders")

WAYS = ["child", "session", "orphan", "daemon", "of a daemon"]

#: Processes that an entrypoint may have started before it became the server. The last one leaves an
#: orphan on request.
SIDECARS = """
sleep 600 & echo $! >>sidecars
setsid sleep 600 & echo $! >>sidecars
env -i setsid sleep 600 & echo $! >>sidecars
(setsid sleep 600 & echo $! >>sidecars)
(env -i setsid sleep 600 & echo $! >>sidecars)
setsid sh -c 'while ! test -e late; do sleep 0.01; done; (setsid sleep 600 & echo $! >>sidecars); exec sleep 600' & echo $! >>sidecars
exec "$@"
"""


class Entrypoint:
    """Sidecars of a server, by their pids."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory

    def command(self, *words: str) -> list[str]:
        return ["sh", "-c", SIDECARS, "sh", str(BINARY), *words]

    def sidecars(self, count: int) -> list[int]:
        file = self.directory / "sidecars"
        lines = until(
            "they run",
            lambda: (
                file.exists() and len(found := file.read_text().splitlines()) == count and found
            ),
        )
        return list(map(int, lines))

    def late(self) -> list[int]:
        """Let the last one leave its orphan, and return all."""
        (self.directory / "late").touch()
        return self.sidecars(7)

    def end(self) -> None:
        """Kill all that still run."""
        for pid in map(int, (self.directory / "sidecars").read_text().split()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@pytest.fixture
def entrypoint(tmp_path: pathlib.Path) -> Iterator[Entrypoint]:
    (tmp_path / "predict.py").write_text(MODEL)
    made = Entrypoint(tmp_path)
    yield made
    made.end()


def serve(start, entrypoint):
    flags = [
        "--host",
        "127.0.0.1",
        "--port",
        "0",
        "--python",
        real_python(),
        "--predict",
        "predict.py:Predictor",
    ]
    command = entrypoint.command(*flags, str(entrypoint.directory))
    return start(model_dir=entrypoint.directory, command=command)


def started(server):
    """Start one process in each way, and return the pids."""
    return [server.predict({"way": way}).json["output"]["pid"] for way in WAYS]


def test_the_death_of_a_runner_ends_no_process_that_existed_before(start, entrypoint):
    server = serve(start, entrypoint)
    sidecars = entrypoint.late()
    orphans = started(server)
    runner = server.runner()
    os.kill(runner, signal.SIGKILL)
    until("there is another one", lambda: server.runner() not in (0, runner))
    server.wait_status("READY")
    assert not any(map(alive, orphans))
    assert all(map(alive, sidecars))
    entrypoint.end()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_the_end_of_the_server_ends_no_process_that_existed_before(start, entrypoint, how):
    server = serve(start, entrypoint)
    sidecars = entrypoint.late()
    orphans = started(server)
    server.process.send_signal(how)
    server.process.wait(20)
    until("the processes of the model are gone", lambda: not any(map(alive, orphans)))
    assert all(map(alive, sidecars))
    entrypoint.end()


def test_the_next_server_ends_unmarked_leftover_processes_and_no_others(start, bystander, tmp_path):
    where = ["--working-dir", str(tmp_path / "work")]
    first = start(MODEL, *where)
    orphans = started(first)
    os.kill(guard(first), signal.SIGKILL)
    first.kill()
    assert any(map(alive, orphans)), "they outlive server and guard"
    start(MODEL, *where)
    assert not any(map(alive, orphans))
    assert bystander.poll() is None


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    made = subprocess.Popen(["sleep", "600"], start_new_session=True, env={})
    yield made
    made.kill()
    made.wait()


def test_each_of_several_runners_ends_with_its_own_processes(start):
    server = start(MODEL, "--runners", "2")
    until("both are ready", lambda: server.health()["concurrency"]["max"] == 2)
    of: dict[int, list[int]] = {}
    with concurrent.futures.ThreadPoolExecutor() as pool:
        for way in WAYS:
            inputs = [{"way": way, "meeting": way.replace(" ", "-")}] * 2
            for answer in pool.map(server.predict, inputs):
                output = answer.json["output"]
                of.setdefault(output["runner"], []).append(output["pid"])
    dead, living = of
    os.kill(dead, signal.SIGKILL)
    until("its processes are gone", lambda: not any(map(alive, of[dead])))
    server.wait_status("READY")
    assert all(map(alive, of[living]))


def test_a_command_ends_the_processes_of_its_model_and_no_others(entrypoint):
    words = [
        "predict",
        "--python",
        real_python(),
        "--predict",
        "predict.py:Predictor",
        str(entrypoint.directory),
    ]
    for way in WAYS:
        command = entrypoint.command(*words, "-i", f"way={way}")
        printed = (
            entrypoint.directory / f"{way}.json"
        )  # a file, because the sidecars would keep a pipe open
        with open(printed, "w") as file:
            subprocess.run(command, cwd=entrypoint.directory, stdout=file, check=True, timeout=50)
        assert not alive(json.loads(printed.read_text())["pid"])
    assert all(map(alive, entrypoint.sidecars(6 * len(WAYS))))
    entrypoint.end()


def guard(server) -> int:
    """The pid of the process that outlives the server."""
    for directory in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (directory / "cmdline").read_bytes()
            if words.startswith(b"coggo-guard\0") and f"/{server.process.pid:x}-".encode() in words:
                return int(directory.name)
    raise AssertionError("there is no guard")
