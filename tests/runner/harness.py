"""Drives one runner process as the server does, by files and signals."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
from typing import Any

from waiting import until

if hasattr(sys, "set_int_max_str_digits"):
    sys.set_int_max_str_digits(0)  # JSON numbers have any length

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODELS = ROOT / "tests" / "models"

READY, BUSY, LOOK = signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP


def make_spool(path: pathlib.Path) -> pathlib.Path:
    """Make the working directory as the server prepares it."""
    path.mkdir(mode=0o700)
    for name in (".tmp", "outputs", "health"):
        (path / name).mkdir(mode=0o700)
    os.mkfifo(path / "logs", 0o600)
    return path


def environment(**more: str) -> dict[str, str]:
    """Return the environment of a runner."""
    return {**os.environ, "PYTHONPATH": str(ROOT / "python"), **more}


def command(python: str, spool: pathlib.Path, ref: str, *options: str) -> list[str]:
    """The command line of a runner, in which a warning of the runner is an error."""
    program = "import sys; del sys.path[0]; from cog.internal.file_runner import main; sys.exit(main(sys.argv[1:]))"
    runner = [python, "-W", "error", "-c", program]
    return [*runner, "--working-dir", str(spool), "--predict", ref, *options]


class Pipe:
    """Drains one of the runner's pipes, as the server does."""

    def __init__(self, stream: Any) -> None:
        self._data = bytearray()
        self._stream = stream
        self._thread = threading.Thread(target=self._drain)
        self._thread.start()

    def _drain(self) -> None:
        with self._stream:
            while True:
                data = self._stream.read1(1 << 16)
                if not data:
                    return
                self._data += data

    @property
    def text(self) -> str:
        """Return what has arrived so far."""
        return bytes(self._data).decode(errors="replace")

    @property
    def size(self) -> int:
        """Return how many bytes have arrived so far."""
        return len(self._data)

    def join(self) -> None:
        """Wait for the end of the pipe."""
        self._thread.join(10)


class Runner:
    """A runner and its directory. Ids must be valid file names; `put` accepts any name."""

    def __init__(
        self,
        python: str,
        spool: pathlib.Path,
        ref: str,
        *options: str,
        cwd: pathlib.Path = MODELS,
        rung: list[int],
        close: tuple[int, ...] = (),
        env: dict[str, str] | None = None,
    ) -> None:
        self.path = make_spool(spool)
        lent = os.open(self.path / "logs", os.O_RDONLY | os.O_NONBLOCK)
        self._lent = os.open(
            self.path / "logs", os.O_WRONLY
        )  # without a writer, the reader would see an end between two predictions
        os.set_blocking(lent, True)
        self.lent = Pipe(os.fdopen(lent, "rb"))
        self.rung = rung
        self._count = 0
        line = command(python, spool, ref, *options)
        if close:
            line = ["sh", "-c", f'exec "$@" {" ".join(f"{fd}>&-" for fd in close)}', "sh", *line]
        self.process = subprocess.Popen(
            line,
            cwd=cwd,
            env=environment(**(env or {})),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.stdout = Pipe(self.process.stdout)
        self.stderr = Pipe(self.process.stderr)

    # -- files

    def put(self, name: str, message: Any) -> None:
        """Write a whole file by rename: bytes unchanged, anything else as JSON."""
        data = message if isinstance(message, bytes) else json.dumps(message).encode()
        half = self.path / ".tmp" / f"test-{name.replace('/', '-')}"
        half.write_bytes(data)
        half.rename(self.path / name)

    def get(self, name: str) -> Any:
        """Return a message, or None if it does not exist."""
        try:
            return json.loads((self.path / name).read_bytes())
        except FileNotFoundError:
            return None

    def wait_for(self, name: str, seconds: float = 20) -> Any:
        """Wait for a message of the runner; fails at once when the runner is dead."""

        def look() -> Any:
            dead = self.process.poll() is not None
            message = self.get(name)
            assert message is not None or not dead, (
                f"the runner ended with {self.process.returncode} before {name}\n{self.stderr.text}"
            )
            return message

        return until(
            f"{name} of {sorted(os.listdir(self.path))}\n{self.stderr.text}", look, seconds
        )

    # -- predictions

    def ready(self) -> Runner:
        """Wait until the model is set up."""
        result = self.wait_for("setup-result.json")
        assert result["status"] == "succeeded", result["traceback"]
        return self

    def send(self, id: str, input: dict[str, Any] | None = None, **more: Any) -> str:
        """Send a prediction."""
        request = {
            "id": id,
            "method": "predict",
            "input": input or {},
            "files": [],
            "context": {},
            **more,
        }
        self.put(f"request-{id}.json", request)
        return id

    def cancel(self, id: str, ring: bool = True) -> None:
        """Cancel a prediction; without ``ring`` the doorbell signal is not sent."""
        self.put(f"cancel-{id}.json", {"id": id, "reason": "client"})
        if ring:
            self.process.send_signal(signal.SIGUSR1)

    def response(self, id: str, seconds: float = 20) -> Any:
        """Wait for a response, and remove its files as the server does."""
        response = self.wait_for(f"response-{id}.json", seconds)
        for name in (f"request-{id}.json", f"cancel-{id}.json", f"response-{id}.json"):
            (self.path / name).unlink(missing_ok=True)
        return response

    def predict(self, input: dict[str, Any] | None = None, **more: Any) -> Any:
        """Run one prediction to its end; return its response and its id."""
        return self.response(self.send(f"p{self.next_number()}", input, **more))

    def next_number(self) -> int:
        """A number that no prediction of this runner used."""
        self._count += 1
        return self._count

    def events(self, id: str, kind: str | None = None) -> list[Any]:
        """The events of a prediction, all or of one type."""
        path = self.path / f"events-{id}.jsonl"
        lines = path.read_bytes().split(b"\n") if path.exists() else [b""]
        assert lines.pop() == b"", "the last line is incomplete"
        events = [json.loads(line) for line in lines]
        return [event for event in events if kind in (None, event["type"])]

    def chunks(self, id: str) -> list[Any]:
        """Return the items that a prediction yielded."""
        return [event["chunk"] for event in self.events(id, "output")]

    def log(self, id: str) -> str:
        """Return the output text of a prediction of an async model."""
        return "".join(event["data"] for event in self.events(id, "log"))

    def health(self, sequence: int, seconds: float = 20) -> Any:
        """Ask for the model's health and wait for the answer."""
        self.put("health/request.json", {"sequence": sequence})

        def answer() -> Any:
            found = self.get("health/response.json")
            return found and found["sequence"] == sequence and found

        return until(f"health {sequence}", answer, seconds)

    # -- the end

    def exit(self, seconds: float = 20) -> int:
        """Wait for the end of the process, and return its status."""
        status = self.process.wait(seconds)
        self.stdout.join()
        self.stderr.join()
        if self._lent >= 0:
            os.close(self._lent)
            self._lent = -1
        self.lent.join()
        return status

    def stop(self) -> int:
        """Tell the runner that no more requests come, and wait for its exit."""
        self.put("stop", {})
        return self.exit()

    def kill(self) -> None:
        """Kill the process."""
        if self.process.poll() is None:
            self.process.kill()
        self.exit()
