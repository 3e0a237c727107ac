"""A terminal, as for a server that a person starts by hand."""

from __future__ import annotations

import os
import pathlib
import pty
import re
import select
import signal
import subprocess
import time
from collections.abc import Sequence


class Terminal:
    """A process whose standard streams are a terminal."""

    def __init__(
        self, words: Sequence[object], cwd: pathlib.Path | None = None, **env: str
    ) -> None:
        self._master, slave = pty.openpty()
        self.process = subprocess.Popen(
            [str(word) for word in words],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=cwd,
            env={**os.environ, **env},
            start_new_session=True,
        )
        os.close(slave)
        self._read = b""

    @property
    def shown(self) -> str:
        """Return all output of the process."""
        return self._read.decode("utf-8", "replace")

    def wait(self, text: str, seconds: float = 30) -> None:
        """Read until a pattern is found."""
        end = time.monotonic() + seconds
        while not re.search(text, self.shown):
            assert time.monotonic() < end, f"no {text!r} in {self.shown!r}"
            if select.select([self._master], [], [], 0.2)[0]:
                try:
                    self._read += os.read(self._master, 65536)
                except OSError:  # the process closed its side
                    self.process.wait(20)
                    assert re.search(text, self.shown), f"no {text!r} in {self.shown!r}"

    def close(self, *codes: int) -> None:
        """Interrupt it, unless it has ended, and expect one of the exit codes, 0 by default."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGINT)  # as Ctrl-C does
        try:
            assert self.process.wait(30) in (codes or (0,)), self.shown
        finally:
            os.close(self._master)
