"""The servers that are compared, each started as its own documents say."""

from __future__ import annotations

import http.client
import json
import os
import pathlib
import socket
import subprocess
import sys
import time
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Server:
    """A server for one model. It starts in the background: see ``wait``."""

    def __init__(
        self, name: str, command: list[str], directory: pathlib.Path, env: dict[str, str]
    ) -> None:
        self.name = name
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.process = subprocess.Popen(
            command,
            cwd=directory,
            env={**os.environ, "PORT": str(self.port), **env},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def wait(self) -> tuple[bool, str]:
        """Return whether the model became ready, and the logs of its setup."""
        end = time.monotonic() + 120
        while time.monotonic() < end and self.process.poll() is None:
            try:
                health = self.ask("GET", "/health-check")[1]
                logs = (health.get("setup") or {}).get("logs") or ""
                if health["status"] == "READY":
                    return True, logs
                if health["status"] in ("SETUP_FAILED", "DEFUNCT"):
                    return False, logs
            except (OSError, http.client.HTTPException):
                pass
            time.sleep(0.05)
        if self.process.poll() is None:
            raise TimeoutError("says nothing for two minutes")
        return False, ""

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        text = None if body is None else json.dumps(body)
        try:
            connection.request(method, path, text, {"Content-Type": "application/json"})
            response = connection.getresponse()
            data = response.read()
        finally:
            connection.close()
        try:
            return response.status, json.loads(data)
        except ValueError:
            return response.status, {"text": data.decode(errors="replace")}

    def close(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def coggo(directory: pathlib.Path, env: dict[str, str]) -> Server:
    command = [
        str(ROOT / "bin" / "coggo-server"),
        "--host",
        "127.0.0.1",
        "--ephemeral",
        "--python",
        sys.executable,
        ".",
    ]
    return Server("coggo", command, directory, env)


def cog_016(directory: pathlib.Path, env: dict[str, str], mode: str = "predict") -> Server:
    """The interpreter that runs this has cog 0.16 installed."""
    command = [sys.executable, "-m", "cog.server.http", "--host", "127.0.0.1", "--x-mode", mode]
    return Server("0.16", command, directory, env)


def cog_023(
    python: str,
    directory: pathlib.Path,
    env: dict[str, str],
    ref: str,
    document: Any,
    mode: str = "predict",
) -> Server:
    """Serve as an image of ``cog build`` does, but with Coggo's document in place of cog's."""
    if document is not None:
        (directory / ".cog").mkdir()
        (directory / ".cog" / "openapi_schema.json").write_text(
            json.dumps(document), encoding="utf-8"
        )
    stub = {"predict": "COG_PREDICT_TYPE_STUB", "train": "COG_TRAIN_TYPE_STUB"}[mode]
    path = f"{pathlib.Path(python).parent}{os.pathsep}{os.environ['PATH']}"  # it starts `python`
    env = {**env, stub: ref, "PATH": path, "COG_NO_UPDATE_CHECK": "1"}
    command = [python, "-m", "cog.server.http", "--host", "127.0.0.1", "--x-mode", mode]
    return Server("0.23", command, directory, env)
