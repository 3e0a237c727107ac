"""Run by test_given_directory.py in namespaces, so that its mounts are invisible to others."""

from __future__ import annotations

import pathlib
import subprocess

import pytest

from servers import BINARY, real_python


@pytest.fixture
def mounted(tmp_path):
    """Mounts a file system with these options."""
    place = tmp_path / "volume"
    place.mkdir()

    def mount(options: str) -> pathlib.Path:
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"mode=755,{options}", "none", place], check=True
        )
        return place

    yield mount
    subprocess.run(["umount", place], check=True)


def refused(tmp_path, given) -> str:
    (tmp_path / "predict.py").write_text("def predict() -> int:\n    return 1\n")
    flags = [
        "--predict",
        "predict.py:predict",
        "--python",
        real_python(),
        "--host",
        "127.0.0.1",
        "--port",
        "0",
    ]
    line = [BINARY, *flags, "--working-dir", given, tmp_path]
    done = subprocess.run(line, capture_output=True, text=True, timeout=30)
    assert done.returncode == 1, done.stderr
    return done.stderr


def test_a_read_only_file_system_is_an_error_that_names_it(mounted, tmp_path):
    given = mounted("ro")
    said = refused(tmp_path, given)
    assert (
        "read-only file system; " in said
        and f"{given} belongs to uid 0" in said
        and "has mode 0755" in said
    )
    assert "mount a volume there that can be written" in said


def test_a_full_file_system_is_an_error_that_names_it(mounted, tmp_path):
    given = mounted("size=4k,nr_inodes=4")
    said = refused(tmp_path, given)
    assert "no space left on device; " in said and f"{given} belongs to uid 0" in said
    assert "make room" in said
