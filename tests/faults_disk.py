"""A disk that the tests of faults can fill or make read-only."""

from __future__ import annotations

import contextlib
import itertools
import os
import pathlib
import subprocess
from collections.abc import Iterator
from typing import Callable

import pytest

from http_harness import Server
from waiting import until

FULL = "the working directory can't be written: no space left on device"
READ_ONLY = "the working directory can't be written: read-only file system"
TOO_LARGE = "the working directory can't be written: file too large"


class Disk:
    """A small filesystem that can be filled, and made read-only."""

    def __init__(self, path: pathlib.Path, options: str) -> None:
        self.path = path
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "coggo-test", str(path)], check=True)

    def fill(self) -> None:
        with open(self.path / "fill", "ab", 0) as file, pytest.raises(OSError, match="No space"):
            while True:
                file.write(bytes(4096))

    def free(self, size: int | None = None) -> None:
        """Free a part of the filled space, or all of it."""
        path = self.path / "fill"
        os.truncate(path, 0 if size is None else path.stat().st_size - size)

    def writable(self, yes: bool) -> None:
        mode = "rw" if yes else "ro"
        subprocess.run(["mount", "-o", f"remount,{mode}", str(self.path)], check=True)

    @contextlib.contextmanager
    def read_only(self, path: pathlib.Path) -> Iterator[None]:
        """Make it read-only even for open files, as the kernel does with a broken disk; a remount
        refuses.
        """
        subprocess.run(["mount", "--bind", str(path), str(path)], check=True)
        try:
            subprocess.run(["mount", "-o", "remount,bind,ro", str(path)], check=True)
            yield
        finally:
            subprocess.run(["umount", "-l", str(path)], check=True)

    def take_names(self) -> None:
        """Use up the inodes: there is room, but not for one more file."""
        with pytest.raises(OSError, match="No space"):
            for n in itertools.count():
                (self.path / f"name-{n}").touch()

    def give_names(self) -> None:
        for path in self.path.glob("name-*"):
            path.unlink()

    def close(self) -> None:
        subprocess.run(["umount", "-l", str(self.path)], check=True)


@contextlib.contextmanager
def small_disks(path: pathlib.Path) -> Iterator[Callable[[str], Disk]]:
    """Yield a function that mounts a small disk, and unmount all afterwards."""
    made: list[Disk] = []

    def mount(options: str) -> Disk:
        try:
            made.append(Disk(path, options))
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("only a user who may mount can make a small disk")
        return made[-1]

    yield mount
    for disk in made:
        disk.close()


def well(server: Server) -> None:
    server.wait_status("READY")
    body = server.predict({}).json
    assert body["status"] == "succeeded", body


def unhealthy(server: Server, why: str) -> None:
    """Wait until health reports it; its answer can be ten milliseconds old."""
    until("health says why", lambda: server.health().get("user_healthcheck_error") == why)
    assert server.health()["status"] == "UNHEALTHY"
