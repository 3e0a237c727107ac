"""The wheel of this machine's platform, and environments to install it in."""

from __future__ import annotations

import os
import pathlib
import platform
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

MACHINE = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}[
    platform.machine().lower()
]


def make_wheel(out: pathlib.Path) -> pathlib.Path:
    go = os.environ.get("GO", "go")
    build = [
        sys.executable,
        ROOT / "scripts/dist",
        f"{sys.platform}/{MACHINE}",
        "--go",
        go,
        "--out",
        out,
    ]
    subprocess.run(build, check=True, timeout=900)
    [wheel] = out.glob("*.whl")
    return wheel


class Environment:
    """A virtual environment without anything of this checkout."""

    def __init__(self, directory: pathlib.Path, python: str) -> None:
        subprocess.run([python, "-m", "venv", directory], check=True, timeout=300)
        self.directory = directory
        self.python = directory / "bin" / "python3"
        self.server = directory / "bin" / "coggo-server"
        self.before = self.files()

    def files(self) -> set[str]:
        found = {str(p.relative_to(self.directory)) for p in self.directory.rglob("*")}
        return {name for name in found if "__pycache__" not in name}

    def run(self, *words: object, **options: object) -> subprocess.CompletedProcess[str]:
        env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
        env["PATH"] = f"{self.directory}/bin:{env['PATH']}"
        given = {"capture_output": True, "text": True, "timeout": 300, "env": env, **options}
        return subprocess.run([str(w) for w in words], **given)

    def pip(self, *words: object) -> subprocess.CompletedProcess[str]:
        done = self.run(self.python, "-m", "pip", "--disable-pip-version-check", *words)
        assert done.returncode == 0, done.stderr
        return done
