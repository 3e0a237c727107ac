"""The processes of the HTTP tests: a server and a webhook receiver."""

from __future__ import annotations

import base64
import http.client
import http.server
import json
import os
import pathlib
import re
import select
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterable, Sequence
from typing import Any, Callable, NamedTuple

from http_peer import Peer
from waiting import alive, until


class Answer(NamedTuple):
    """A complete HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def processes(mark: str) -> list[int]:
    """Return the processes that were started with ``mark`` in their environment, whatever their
    parent.
    """
    found = []
    for directory in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            environment = (directory / "environ").read_bytes()
        except OSError:  # it ended meanwhile
            continue
        if mark.encode() in environment.split(b"\0") and alive(int(directory.name)):
            found.append(int(directory.name))
    return found


def is_runner(pid: int) -> bool:
    """Report whether a process is a runner itself, and not a fork of one by the model."""
    try:
        return (
            os.getpgid(pid) == pid
            and b"cog.internal.file_runner" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
        )
    except (ProcessLookupError, FileNotFoundError):
        return False


class Server:
    """One ``coggo-server`` process. ``command`` starts it in another way, in the directory of the
    model.
    """

    has_model = True

    def __init__(
        self,
        binary: pathlib.Path,
        model_dir: pathlib.Path,
        python: str,
        flags: Sequence[str],
        env: dict[str, str] | None = None,
        predict: str = "predict.py:Predictor",
        expect_exit: int = 0,
        command: Sequence[str] = (),
    ) -> None:
        assert binary.exists(), f"{binary} is missing: run make build"
        self.expect_exit = expect_exit
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the server
        if not command:
            refs = [] if (model_dir / "cog.yaml").exists() else ["--predict", predict]
            command = [
                str(binary),
                "--host",
                "127.0.0.1",
                "--port",
                "0",
                "--python",
                python,
                *refs,
                *flags,
                str(model_dir),
            ]
        self.temporary = pathlib.Path(tempfile.mkdtemp(dir=model_dir))
        self._given = pathlib.Path((env or {}).get("TMPDIR", self.temporary))
        self.process = subprocess.Popen(
            command,
            cwd=model_dir,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "TMPDIR": str(self.temporary), **(env or {})},
        )
        self.port = 0

    def log(self) -> str:
        """Return all output of the server and the model."""
        size = os.fstat(self._log.fileno()).st_size
        return os.pread(self._log.fileno(), size, 0).decode("utf-8", "replace")

    def lines(self, msg: str) -> list[dict[str, Any]]:
        """Return the log lines with this message; needs LOG_FORMAT=json."""
        found = [
            json.loads(line)
            for line in self.log().splitlines()
            if line.startswith("{") and line.endswith("}")
        ]
        return [line for line in found if line.get("msg") == msg]

    def line(self, msg: str) -> dict[str, Any]:
        """Wait for the first log line with this message."""
        return until(f"it says {msg}", lambda: self.lines(msg))[0]  # type: ignore[no-any-return]

    def memory(self, kind: str = "VmHWM") -> int:
        """Return the peak memory of the server process in bytes, or with VmRSS the current one."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split(f"{kind}:")[1].split()[0]) << 10

    def wait_listening(self) -> None:
        def port() -> int:
            assert self.process.poll() is None, self.log()
            found = re.search(
                r'(?:listening address=|"msg":"listening","address":")[^\s"]+:(\d+)', self.log()
            )
            return int(found.group(1)) if found else 0

        self.port = until("the server listens", port)

    def wait_status(self, status: str, seconds: float = 20) -> None:
        try:
            until(f"health is {status}", lambda: self.health()["status"] == status, seconds)
        except AssertionError as late:
            raise AssertionError(f"{late}: {self.log()}") from None

    def health(self) -> Any:
        return self.get("/health-check").json

    def ask(
        self, method: str, path: str, body: Any = None, timeout: float = 30, **headers: str
    ) -> Answer:
        """Send one request on a new connection; underscores in header names become dashes."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            given = {name.replace("_", "-"): value for name, value in headers.items()}
            if body is not None and not isinstance(body, (bytes, str)):
                body = json.dumps(body)
                given.setdefault("Content-Type", "application/json")
            connection.request(
                method, path, body.encode() if isinstance(body, str) else body, given
            )
            response = connection.getresponse()
            return Answer(
                response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()
            )
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, **headers)

    def predict(
        self, input: Any = None, headers: dict[str, str] | None = None, **envelope: Any
    ) -> Answer:
        """POST /predictions."""
        body = dict(envelope) if input is None else {"input": input, **envelope}
        return self.ask("POST", "/predictions", body, **(headers or {}))

    def ended(self, id: str, seconds: float = 15) -> Any:
        """Wait until the prediction has finished, and return it."""

        def look() -> Any:
            answer = self.get(f"/predictions/{id}")
            ended = answer.json.get("status") in ("succeeded", "failed", "canceled")
            return answer.json if ended and answer.status == 200 else None

        return until(f"{id} ends", look, seconds)

    def runners(self) -> list[int]:
        """Return the pids of the runners that there are now."""
        children = pathlib.Path(f"/proc/{self.process.pid}/task").glob("*/children")
        pids = [int(c) for f in children for c in f.read_text().split()]
        return [p for p in pids if is_runner(p)]  # the others are processes that a runner left

    def runner(self) -> int:
        """Return the pid of the runner."""
        return int(until("there is a runner", self.runners)[0])

    def spool(self) -> pathlib.Path:
        """Return the working directory."""
        words = pathlib.Path(f"/proc/{self.runner()}/cmdline").read_text().split("\0")
        return pathlib.Path(words[words.index("--working-dir") + 1])

    def inputs(self) -> list[pathlib.Path]:
        """Return the directories of input files, one for each prediction."""
        return [path for path in self._given.glob("coggo-inputs-*/*") if path.is_dir()]

    def temporary_files(self) -> set[pathlib.Path]:
        """Return the files that the model made in its temporary directory."""
        found: set[pathlib.Path] = set()
        for place, directories, names in os.walk(self.temporary):
            directories[:] = [d for d in directories if not d.startswith("coggo-inputs-")]
            found.update(path for name in names if (path := pathlib.Path(place, name)).is_file())
        return found

    def kill(self) -> None:
        """Kill the server with SIGKILL."""
        self.process.kill()
        self.process.wait(10)

    def close_in_a_hurry(self) -> None:
        """Stop the server with two signals, so that it does not wait for undeliverable webhooks."""
        self.process.send_signal(signal.SIGINT)
        until("it is shutting down", lambda: "shutting down" in self.log())
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(30) == self.expect_exit, self.log()

    def close(self) -> None:
        """Stop the server; it must exit cleanly, and leave neither a process nor a file."""
        try:
            self._stop()
        finally:
            self.close_log()

    def close_log(self) -> None:
        self._log.close()

    def _stop(self) -> None:
        if self.process.poll() is None:
            fresh = None
            if self._has_fresh_spool():
                fresh = self.spool()
            self.process.send_signal(signal.SIGINT)
            code = self.process.wait(30)
            assert code == self.expect_exit, f"exit {code}: {self.log()}"
            assert fresh is None or not fresh.exists(), "the working directory was left"
            left = [str(path) for path in self.temporary.rglob("*") if not path.is_dir()]
            assert left == [], f"temporary files were left: {left}"
        until("every process is gone", lambda: not processes(f"TMPDIR={self.temporary}"), 5)

    def _has_fresh_spool(self) -> bool:
        return (
            self.has_model
            and "--working-dir" not in self.process.args
            and self.health()["status"] in ("READY", "BUSY", "UNHEALTHY")
        )


def data_of(url: str) -> tuple[bytes, str]:
    """Return the contents of a data URL, and its media type."""
    head, _, text = url.partition(",")
    assert head.startswith("data:") and head.endswith(";base64"), url
    return base64.b64decode(text, validate=True), head[len("data:") : -len(";base64")]


def asking(port: int, path: str, *head: str, room: int = 4096) -> socket.socket:
    """Send a GET from a client with a small receive buffer, and read nothing of the answer yet."""
    client = socket.socket()
    client.settimeout(20)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
    client.connect(("127.0.0.1", port))
    client.sendall("\r\n".join([f"GET {path} HTTP/1.1", "Host: x", *head, "", ""]).encode())
    return client


def hung_up_on(client: socket.socket) -> bool:
    """Report whether the server has closed its end."""
    watch = select.poll()
    watch.register(client, select.POLLRDHUP)
    return bool(watch.poll(0))


class Reply(NamedTuple):
    """An HTTP answer for a peer to send; ``body`` may be endless."""

    status: int
    headers: dict[str, str]
    body: Iterable[bytes] = ()


def write_reply(handler: http.server.BaseHTTPRequestHandler, reply: Reply) -> None:
    """Answer a request. A client may disconnect meanwhile."""
    try:
        handler.send_response(reply.status)
        for name, value in reply.headers.items():
            handler.send_header(name, value)
        if "Content-Length" not in reply.headers:
            handler.send_header("Connection", "close")  # which also sets handler.close_connection
        handler.end_headers()
        for part in reply.body:
            handler.wfile.write(part)
    except OSError:
        handler.close_connection = True


class Receiver:
    """Keeps every webhook. ``answer(n)`` returns a status, a whole reply, or None to hang up, and
    may wait.
    """

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.answer: Callable[[int], int | Reply | None] = lambda n: 200
        self.got: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.bodies: list[bytes] = []
        self.paths: list[str] = []
        self.times: list[float] = []
        self._lock = threading.Lock()  # guards the order of the lists
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:  # noqa: N802 - the base class's name
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with receiver._lock:
                    receiver.times.append(time.monotonic())
                    receiver.bodies.append(body)
                    receiver.paths.append(self.path)
                    receiver.headers.append({k.lower(): v for k, v in self.headers.items()})
                    receiver.got.append(json.loads(body))
                    number = len(receiver.got)
                reply = receiver.answer(number)
                if reply is None:
                    self.close_connection = True
                    return
                write_reply(
                    self, Reply(reply, {"Content-Length": "0"}) if isinstance(reply, int) else reply
                )

            def log_message(self, *_: Any) -> None:
                pass

        self._server = Peer(Handler, host)
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a server that was killed hangs up
        self.url = self._server.url + "/hook"

    def statuses(self) -> list[str]:
        return [body["status"] for body in self.got]

    def wait(self, count: int) -> None:
        until(f"{count} webhooks, got {self.statuses()}", lambda: len(self.got) >= count)

    def wait_terminal(self) -> dict[str, Any]:
        def last() -> Any:
            return next(
                (b for b in self.got if b["status"] in ("succeeded", "failed", "canceled")), None
            )

        found: dict[str, Any] = until(f"a terminal webhook, got {self.statuses()}", last)
        return found

    def close(self) -> None:
        self._server.close()
