"""A file server that accepts uploads and that the tests program."""

from __future__ import annotations

import http.server
import threading
from typing import Callable, NamedTuple

from http_harness import Reply, write_reply
from http_peer import Peer


class Got(NamedTuple):
    """A received request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Store:
    """Answers by path: ``routes[path](n)`` answers the n-th request of a path, counted from 1.
    Other paths are 404.
    """

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.routes: dict[str, Callable[[int], Reply]] = {}
        self.put: Callable[[Got], Reply] = lambda got: Reply(201, {"Content-Length": "0"})
        self.got: list[Got] = []
        self._lock = threading.Lock()
        store = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def note(self) -> tuple[Got, int]:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if self.headers.get("Transfer-Encoding") == "chunked":
                    body = self.chunks()
                got = Got(
                    self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body
                )
                with store._lock:
                    store.got.append(got)
                    return got, sum(
                        g.path == got.path and g.method == got.method for g in store.got
                    )

            def chunks(self) -> bytes:
                body = b""
                while size := int(self.rfile.readline(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return body

            def do_GET(self) -> None:  # noqa: N802 - the base class's name
                got, number = self.note()
                answer = store.routes.get(got.path.partition("?")[0])
                write_reply(
                    self,
                    answer(number) if answer else Reply(404, {"Content-Length": "4"}, [b"gone"]),
                )

            def do_PUT(self) -> None:  # noqa: N802 - the base class's name
                got, _ = self.note()
                write_reply(self, store.put(got))

            def log_message(self, *_: object) -> None:
                pass

        self._server = Peer(Handler, host)
        self.url = self._server.url

    def add(self, path: str, body: bytes, **headers: str) -> str:
        """Serve ``body`` at ``path``, and return its URL."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        self.routes[path.partition("?")[0]] = lambda n: Reply(
            200, {"Content-Length": str(len(body)), **given}, [body]
        )
        return self.url + path

    def redirect(self, path: str, to: str, status: int = 302) -> str:
        self.routes[path] = lambda n: Reply(status, {"Location": to, "Content-Length": "0"})
        return self.url + path

    def close(self) -> None:
        self._server.close()
