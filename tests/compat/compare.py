"""Runs each model unmodified under cog from PyPI and under Coggo, and compares answer by answer: `make compat`.

Both serve the same files in the same interpreter; status codes and what a client relies on must be equal.
"""

from __future__ import annotations

import base64
import http.client
import io
import json
import math
import os
import pathlib
import re
import socket
import struct
import subprocess
import sys
import time
import wave
from typing import Any

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]


def picture() -> str:
    from PIL import Image

    out = io.BytesIO()
    Image.linear_gradient("L").resize((32, 32)).save(out, "PNG")
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()


def sound() -> str:
    out = io.BytesIO()
    with wave.open(out, "wb") as sink:
        sink.setnchannels(1)
        sink.setsampwidth(2)
        sink.setframerate(8000)
        samples = [int(10000 * math.sin(i / 10)) for i in range(800)]
        sink.writeframes(struct.pack(f"<{len(samples)}h", *samples))
    return "data:audio/wav;base64," + base64.b64encode(out.getvalue()).decode()


def cases() -> dict[str, list[Any]]:
    """The inputs for each model."""
    return {
        "text": [
            {"text": "the cat and a dog and the cat"},
            {
                "text": "the cat and a dog",
                "order": "word",
                "top": 2,
                "weight": 2,
                "skip": ["dog"],
                "keep_stop_words": True,
            },
            {"text": "b a", "seed": 7, "top": "2", "keep_stop_words": "yes", "weight": "0.5"},
            {"text": "again: no shared default"},
            {"text": ""},
            {"text": "x", "order": "size"},
            {"text": "x", "top": 0},
            {"text": "x", "top": 101, "weight": -1},
            {"text": 5},
            {"text": "x", "skip": "no list"},
            {},
            {"text": "x", "unknown": 1},
        ],
        "image": [
            {"image": picture()},
            {"image": picture(), "size": 16, "gray": True},
            {"image": "data:image/png;base64,bm8gaW1hZ2U="},
            {"image": picture(), "size": 0},
            {"image": "/etc/hostname"},
        ],
        "audio": [{"audio": sound()}, {"audio": sound(), "gain": 0.25}, {"audio": "data:audio/wav;base64,AAAA"}],
        "array": [{}, {"scale": -1.5, "rows": 4}, {"rows": 5}, {"scale": "3"}],
        "tokens": [
            {"prompt": "one two"},
            {"prompt": "one two", "tokens": 0},
            {"prompt": "one", "tokens": 3, "fail_after": 2},
            {"prompt": "ONE"},
        ],
        "scored": [{"text": "abracadabra"}, {"text": "", "threshold": 0}, {"text": "x", "threshold": 2}],
    }


class Server:
    """A server for one model."""

    def __init__(self, name: str, command: list[str], model: str, env: dict[str, str]) -> None:
        self.name = name
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.process = subprocess.Popen(
            command,
            cwd=HERE / "models" / model,
            env={**os.environ, "PORT": str(self.port), **env},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._wait()

    def _wait(self) -> None:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                if self.ask("GET", "/health-check")[1]["status"] == "READY":
                    return
            except OSError:
                pass
            time.sleep(0.05)
        raise SystemExit(f"{self.name} does not get ready")

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        text = None if body is None else json.dumps(body)
        connection.request(method, path, text, {"Content-Type": "application/json"})
        response = connection.getresponse()
        data = response.read()
        connection.close()
        return response.status, json.loads(data)

    def close(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def essence(answer: tuple[int, Any]) -> Any:
    """What a client relies on: the status and the output; of a refusal, which fields are wrong."""
    status, body = answer
    if status == 422:
        return status, sorted({str(problem["loc"][:3]) for problem in body["detail"]})
    shown = {key: body.get(key) for key in ("status", "output")}
    # Temporary files have names of their own; of an exception without text cog shows nothing, and Coggo its class.
    error = re.sub(r"'/[^']*'", "a file", body.get("error") or "")
    return status, {**shown, "error": "" if re.fullmatch(r"\w*", error) else error}


def main() -> int:
    python = sys.executable
    different = 0
    total = 0
    for model, inputs in cases().items():
        cog = Server("cog", [python, "-m", "cog.server.http"], model, {})
        coggo = Server("coggo", [str(ROOT / "bin" / "coggo-server"), "--python", python, "."], model, {})
        try:
            for given in inputs:
                total += 1
                theirs, ours = (essence(s.ask("POST", "/predictions", {"input": given})) for s in (cog, coggo))
                if theirs != ours:
                    different += 1
                    print(f"{model} {json.dumps(given)[:200]}\n  cog   {str(theirs)[:300]}\n  coggo {str(ours)[:300]}")
        finally:
            cog.close()
            coggo.close()
        print(f"{model}: {len(inputs)} inputs compared")
    print(f"\n{total - different} of {total} answers are the same")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
