"""Coggo's HTTP API, with the standard library's client."""

from __future__ import annotations

import http.client
import json
import os
import time
import uuid
from typing import Any

HEADERS = {"Content-Type": "application/json"}


class Client:
    def __init__(self) -> None:
        self.port = int(os.environ["GATEWAY_PORT"])
        self.idle: list[http.client.HTTPConnection] = []
        self.used = time.monotonic()
        # A gateway checks inputs by the schema of the workers, so one of them has to be there.
        while not self.answer(self.ask("GET", "/health-check")).get("queue", {}).get("workers"):
            time.sleep(0.02)

    def ask(self, method: str, path: str, body: str | None = None, **more: str) -> Any:
        """Send a request and return its connection."""
        if time.monotonic() - self.used > 30:  # the server closes what is idle for two minutes
            self.idle.clear()
        self.used = time.monotonic()
        connection = (
            self.idle.pop() if self.idle else http.client.HTTPConnection("127.0.0.1", self.port)
        )
        connection.request(method, path, body, {**HEADERS, **more})
        return connection

    def answer(self, connection: http.client.HTTPConnection, seconds: float = 60.0) -> Any:
        connection.sock.settimeout(seconds)
        response = connection.getresponse()
        found = json.loads(response.read())
        if response.status // 100 != 2:
            raise RuntimeError(f"{response.status} {found}")
        self.idle.append(connection)
        return found

    def call(self, name: str) -> Any:
        return self.ask("POST", "/predictions", json.dumps({"input": {"name": name}}))

    def result(self, connection: http.client.HTTPConnection, seconds: float) -> Any:
        return self.answer(connection, seconds)["output"]

    def submit(self, name: str, seconds: float) -> str:
        path = f"/predictions/{uuid.uuid4().hex}"
        body = json.dumps({"input": {"name": name, "seconds": seconds}})
        self.answer(self.ask("PUT", path, body, Prefer="respond-async"))
        return path

    def wait(self, path: str, seconds: float) -> Any:
        """Look, and if it has not ended, follow its events until it has."""
        found = self.answer(self.ask("GET", path))
        if found["status"] in ("starting", "processing"):
            events = http.client.HTTPConnection("127.0.0.1", self.port, timeout=seconds)
            events.request("GET", path + "/stream")
            events.getresponse().read()
            events.close()
            found = self.answer(self.ask("GET", path))
        if found["status"] != "succeeded":
            raise RuntimeError(f"{found['status']} {found.get('error')}")
        return found["output"]

    def again(self, path: str) -> Any:
        return self.answer(self.ask("GET", path))["output"]

    def cancel(self, path: str) -> None:
        self.answer(self.ask("POST", path + "/cancel", ""))
