"""Appends a line to a file as each run begins and ends, so that a ledger can count the runs."""

import asyncio
import hashlib
import os
import pathlib
import tempfile
import time
import uuid
from typing import Any

from cog import Path

PARENT = os.getppid()  # the server


def note(*words):
    line = " ".join(map(str, words)) + "\n"
    with open(os.environ["RUNS"], "ab", buffering=0) as file:
        file.write(line.encode())


class Predictor:
    async def predict(
        self,
        name: str,
        s: float = 0.0,
        fail: bool = False,
        size: int = 0,
        ballast: str = "",
        file: Path = None,
        made: int = 0,
    ) -> Any:
        run = uuid.uuid4().hex[:12]
        note("begin", name, run, PARENT, time.time())
        try:
            await asyncio.sleep(s)
        finally:
            note("end", name, run, PARENT, time.time())
        if fail:
            raise ValueError("asked to fail")
        if file is not None:
            return [run, hashlib.sha256(pathlib.Path(file).read_bytes()).hexdigest()]
        if made:
            return {"run": run, "files": [written(f"{name} {run} {n}", made) for n in range(2)]}
        return run + "x" * size


def written(text, size):
    """A file that begins with a text, and says in each part whose it is."""
    path = pathlib.Path(tempfile.mkdtemp()) / "out.bin"
    path.write_bytes((text.encode() + b"\n") * (size // (len(text) + 1)))
    return Path(path)
