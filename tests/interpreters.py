"""Finds the Python versions of this machine, and runs a script in each of them."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parents[1]

OLDEST, NEWEST = 9, 14


def _pyenv() -> pathlib.Path:
    return pathlib.Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions"


def interpreter(minor: int) -> str | None:
    """An installed Python 3.``minor``: of pyenv, this one, or on the path."""
    for found in sorted(_pyenv().glob(f"3.{minor}.*/bin/python")):
        return str(found)
    if sys.version_info[:2] == (3, minor):
        return sys.executable
    return shutil.which(f"python3.{minor}", path=_path_without_shims())


def _path_without_shims() -> str:
    """Without shims of pyenv, which exist for inactive versions too and fail for those."""
    return os.pathsep.join(
        p for p in os.environ["PATH"].split(os.pathsep) if not p.endswith("shims")
    )


def every() -> dict[str, str]:
    """Return all installed versions and their interpreters, by version."""
    found = {f"3.{minor}": interpreter(minor) for minor in range(OLDEST, NEWEST + 1)}
    return {version: python for version, python in found.items() if python is not None}


def start(python: str, *command: str, **options: Any) -> subprocess.Popen[str]:
    """Start an interpreter that finds our package, where a warning is an error."""
    pipes = {
        "stdin": subprocess.PIPE,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "text": True,
    }
    env = {**os.environ, "PYTHONPATH": str(ROOT / "python"), "PYTHONDONTWRITEBYTECODE": "1"}
    if os.access("/dev/shm", os.W_OK):
        env["TMPDIR"] = "/dev/shm"  # many small files that are removed soon
    return subprocess.Popen([python, "-W", "error", *command], env=env, **{**pipes, **options})


def ask_all(
    script: pathlib.Path, question: Any, *arguments: str, pythons: dict[str, str] | None = None
) -> dict[str, Any]:
    """Return the answers of a script that reads and writes JSON, by version; the interpreters run
    in parallel.
    """
    running = {
        v: start(python, str(script), *arguments) for v, python in (pythons or every()).items()
    }
    answers = {}
    for version, process in running.items():
        out, errors = process.communicate(json.dumps(question), timeout=280)
        assert process.returncode == 0, f"{version}: {errors}"
        answers[version] = json.loads(out)
    return answers
