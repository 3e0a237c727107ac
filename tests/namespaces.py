"""Runs tests in new Linux namespaces, with separate mounts and a separate network."""

from __future__ import annotations

import fcntl
import functools
import pathlib
import socket
import struct
import subprocess
import sys
import tempfile

import pytest

UNSHARE = ["unshare", "--map-root-user", "--mount", "--net"]


@functools.cache
def _possible() -> bool:
    try:
        return subprocess.run([*UNSHARE, "true"], capture_output=True, timeout=20).returncode == 0
    except OSError:
        return False


def run_inside(name: str) -> None:
    """Run the tests of ``tests/http/inside/{name}`` in new namespaces; they must pass."""
    if not _possible():
        pytest.skip(
            "this machine does not allow new namespaces: unshare --map-root-user --mount --net"
        )
    root = pathlib.Path(__file__).resolve().parents[1]
    command = [
        *UNSHARE,
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
    ]
    # Other runs of pytest clean up its default directory.
    with tempfile.TemporaryDirectory() as own:
        command += [f"--basetemp={own}/pytest", f"tests/http/inside/{name}"]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stdout + done.stderr


def loopback(*addresses: str) -> None:
    """Bring up the loopback interface of a new network, with additional addresses. Only for use
    inside of namespaces.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, SET_FLAGS, struct.pack("16sh14x", b"lo", 1))  # up
    for n, address in enumerate(addresses):
        plug(n, address)


SET_FLAGS, SET_ADDRESS = 0x8914, 0x8916


def plug(n: int, address: str) -> None:
    """Give the loopback interface an additional address, the one with this number."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        packed = struct.pack(
            "16sHH4s8x", f"lo:{n}".encode(), socket.AF_INET, 0, socket.inet_aton(address)
        )
        fcntl.ioctl(control, SET_ADDRESS, packed)


def unplug(n: int) -> None:
    """Take it away again: connections over it stay open, and nothing comes through any more."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, SET_FLAGS, struct.pack("16sh14x", f"lo:{n}".encode(), 0))
