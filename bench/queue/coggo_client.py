"""Coggo's HTTP API, with the standard library's client."""

from __future__ import annotations

import http.client
import json
import os
import time
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
        body = json.dumps({"input": {"name": name, "seconds": seconds}})
        begun = self.answer(self.ask("POST", "/predictions", body, Prefer="respond-async"))
        return f"/predictions/{begun['id']}"

    def wait(self, path: str, seconds: float) -> Any:
        """Follow the events, the last of which is the end."""
        connection = self.ask("GET", path + "/stream")
        connection.sock.settimeout(seconds)
        response = connection.getresponse()
        events = response.read()
        if response.status != 200:
            raise RuntimeError(f"{response.status} {events.decode()}")
        connection.sock.settimeout(None)
        self.idle.append(connection)
        found = json.loads(events[events.rindex(b"\ndata: ") + len("\ndata: ") :])
        if found["status"] != "succeeded":
            raise RuntimeError(f"{found['status']} {found.get('error')}")
        return found["output"]

    def again(self, path: str) -> Any:
        return self.answer(self.ask("GET", path))["output"]

    def cancel(self, path: str) -> None:
        self.answer(self.ask("POST", path + "/cancel", ""))
