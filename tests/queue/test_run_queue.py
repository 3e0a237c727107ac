"""make run-queue: a broker, two workers and a gateway in the foreground."""

from __future__ import annotations

import pathlib
import shlex
import signal
import socket
import subprocess
import sys

from waiting import until

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_it_prints_a_command_that_works_and_says_which_worker_ran_it(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "scripts/run-queue", "--port", str(port), "examples/hello"],
            cwd=ROOT,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        said = until("it says what to try", lambda: "Try:" in log.read_text() and log.read_text())
        command = said.partition("Try:")[2].partition("\n")[0]
        answer = subprocess.run(shlex.split(command), capture_output=True, text=True, timeout=20)
        assert '"output":"hello you"' in answer.stdout
        until("it says who ran it", lambda: ": succeeded in " in log.read_text())
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(40) == 0, log.read_text()
    ran = [line for line in log.read_text().splitlines() if ": succeeded in " in line]
    assert len(ran) == 1 and ran[0].startswith(("worker 1 | ran ", "worker 2 | ran "))
