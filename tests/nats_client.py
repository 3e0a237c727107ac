"""A client of the broker in a few lines, for what the tests do behind the servers' back."""

from __future__ import annotations

import json
import socket
import ssl
import uuid
from typing import Any


class Nats:
    """One connection to a broker; with ``ca`` by TLS. ``inboxes`` is where answers may come."""

    def __init__(
        self, url: str, user: str = "", password: str = "", ca: str = "", inboxes: str = "_INBOX"
    ) -> None:
        host, _, port = url.partition("://")[2].rpartition(":")
        host = host.rpartition("@")[2]
        self._socket = socket.create_connection((host, int(port)), timeout=10)
        info = b""
        while not info.endswith(b"\r\n"):
            info += self._socket.recv(1)  # TLS begins right after it
        if ca:
            context = ssl.create_default_context(cafile=ca)
            self._socket = context.wrap_socket(self._socket, server_hostname=host)
        self._file = self._socket.makefile("rb")
        self._inbox = f"{inboxes}.{uuid.uuid4().hex}"
        given = {"verbose": False, "headers": True, "no_responders": True}
        given |= {"user": user, "pass": password} if user else {}
        self._socket.sendall(f"CONNECT {json.dumps(given)}\r\nSUB {self._inbox} 1\r\n".encode())

    def refused(self, line: str, body: bytes | None = None) -> bool:
        """Send a line of the protocol, and tell whether this user has no right to."""
        text = f"{line}\r\n" if body is None else f"{line} {len(body)}\r\n{body.decode()}\r\n"
        self._socket.sendall(text.encode() + b"PING\r\n")
        violated = False
        while True:
            words = self._file.readline().decode().split()
            assert words, "the broker has closed the connection"
            if words[0] == "PONG":
                return violated
            violated |= words[0] == "-ERR" and "Permissions" in words[1]
            if words[0] in ("MSG", "HMSG"):
                self._file.read(int(words[-1]) + 2)

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

    def subscribe(self, *subjects: str) -> None:
        """Hear what is published from now on."""
        for number, subject in enumerate(subjects, 2):
            assert not self.refused(f"SUB {subject} {number}")

    def heard(self) -> list[bytes]:
        """Return what has come since, each with its headers before it."""
        self._socket.sendall(b"PING\r\n")
        messages = []
        while (words := self._file.readline().decode().split())[0] != "PONG":
            if words[0] in ("MSG", "HMSG"):
                messages.append(self._file.read(int(words[-1]) + 2)[:-2])
            elif words[0] == "PING":
                self._socket.sendall(b"PONG\r\n")
        return messages

    def hear(self) -> tuple[str, bytes]:
        """Return the subject and the body of the next message."""
        while True:
            words = self._file.readline().decode().split()
            assert words, "the broker has closed the connection"
            if words[0] == "PING":
                self._socket.sendall(b"PONG\r\n")
            elif words[0] in ("MSG", "HMSG"):
                head = int(words[-2]) if words[0] == "HMSG" else 0
                return words[1], self._file.read(int(words[-1]) + 2)[head:-2]

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
