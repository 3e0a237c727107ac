"""Waits for conditions and for processes to exit; shared by all kinds of tests."""

from __future__ import annotations

import pathlib
import time
from typing import Any, Callable


def until(what: str, ok: Callable[[], Any], seconds: float = 20) -> Any:
    """Poll until ``ok`` returns something true, and return that."""
    end = time.monotonic() + seconds
    pause = 0.002
    while True:
        found = ok()
        if found:
            return found
        assert time.monotonic() < end, f"timed out: {what}"
        time.sleep(pause)
        pause = min(pause * 1.2, 0.02)  # a long wait must not take a processor from the others


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rsplit(")", 1)[1].split()[0] != "Z"
