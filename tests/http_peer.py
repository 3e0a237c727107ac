"""An HTTP server in a thread, for requests of the server under test."""

from __future__ import annotations

import contextlib
import http.server
import socket
import threading
from typing import Any


class Peer(http.server.ThreadingHTTPServer):
    """Serves from its creation until `close`, on a free port."""

    daemon_threads = True

    def __init__(
        self, handler: type[http.server.BaseHTTPRequestHandler], host: str = "127.0.0.1"
    ) -> None:
        self._connections: set[socket.socket] = set()
        super().__init__((host, 0), handler)
        self.url = f"http://{host}:{self.server_address[1]}"
        self._thread = threading.Thread(target=self.serve_forever, args=[0.01])
        self._thread.start()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def close(self) -> None:
        """Stop, and close every connection.

        A server of another test that retries its own receiver may have reached this one on the same
        port, and would keep the connection for long.
        """
        self.shutdown()
        self.server_close()
        self._thread.join()
        for connection in list(self._connections):
            with contextlib.suppress(OSError):  # it ended meanwhile
                connection.shutdown(socket.SHUT_RDWR)
