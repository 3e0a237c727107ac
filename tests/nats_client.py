"""A client of the broker in a few lines, for what the tests do behind the servers' back."""

from __future__ import annotations

import json
import socket
import uuid
from typing import Any


class Nats:
    """One connection to a broker."""

    def __init__(self, url: str) -> None:
        host, _, port = url.removeprefix("nats://").rpartition(":")
        self._socket = socket.create_connection((host.rpartition("@")[2], int(port)), timeout=10)
        self._file = self._socket.makefile("rb")
        self._file.readline()  # INFO
        self._inbox = f"_INBOX.{uuid.uuid4().hex}"
        self._socket.sendall(
            b'CONNECT {"verbose":false,"headers":true,"no_responders":true}\r\n'
            + f"SUB {self._inbox} 1\r\n".encode()
        )

    def publish(self, subject: str, body: bytes = b"", **headers: str) -> None:
        """Publish without an answer; underscores in header names become dashes."""
        self._send(subject, "", body, headers)

    def request(self, subject: str, body: bytes = b"", **headers: str) -> bytes:
        """Publish, and return the first answer."""
        self._send(subject, self._inbox + " ", body, headers)
        while True:
            words = self._file.readline().decode().split()
            if words[0] == "PING":
                self._socket.sendall(b"PONG\r\n")
            elif words[0] in ("MSG", "HMSG"):
                head = int(words[-2]) if words[0] == "HMSG" else 0
                return self._file.read(int(words[-1]) + 2)[head:-2]

    def api(self, subject: str, **request: Any) -> Any:
        """Ask the API of JetStream."""
        answer = json.loads(
            self.request(f"$JS.API.{subject}", json.dumps(request).encode() if request else b"")
        )
        assert "error" not in answer, answer
        return answer

    def _send(self, subject: str, reply: str, body: bytes, headers: dict[str, str]) -> None:
        lines = "".join(f"{k.replace('_', '-')}: {v}\r\n" for k, v in headers.items())
        head = f"NATS/1.0\r\n{lines}\r\n".encode() if headers else b""
        sizes = f"{len(head)} {len(head) + len(body)}" if headers else f"{len(body)}"
        verb = "HPUB" if headers else "PUB"
        self._socket.sendall(
            f"{verb} {subject} {reply}{sizes}\r\n".encode() + head + body + b"\r\n"
        )

    def close(self) -> None:
        self._file.close()
        self._socket.close()
