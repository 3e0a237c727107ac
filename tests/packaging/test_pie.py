"""A server that is built as a position-independent program, as distributions do, starts, works and
ends like any other.
"""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator

import pytest
from packages import ROOT

from http_harness import Server

ET_DYN = 3  # the type in the ELF header of a position-independent program

MODEL = """
import time
class Predictor:
    def predict(self, seconds: float) -> str:
        time.sleep(seconds)
        return "done"
"""


@pytest.fixture
def binary(tmp_path: pathlib.Path) -> pathlib.Path:
    (tmp_path / "python").symlink_to(ROOT / "python")
    made = tmp_path / "bin" / "coggo-server"
    build = [
        os.environ.get("GO", "go"),
        "build",
        "-buildmode=pie",
        # Nothing else is built like this, so each package is compiled. Without optimization that
        # takes a third less time, and the loader has as much to relocate.
        "-gcflags=all=-N -l -dwarf=false",
        "-ldflags=-s -w",
        "-o",
        made,
        "./cmd/coggo-server",
    ]
    subprocess.run(build, cwd=ROOT, env={**os.environ, "CGO_ENABLED": "0"}, check=True, timeout=600)
    return made


@pytest.fixture
def server(binary: pathlib.Path, tmp_path: pathlib.Path) -> Iterator[Server]:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "predict.py").write_text(MODEL)
    made = Server(binary, tmp_path / "model", os.path.realpath(sys.executable), [])
    yield made
    made.close()


def test_a_position_independent_server_keeps_serving_after_startup(binary, server):
    assert int.from_bytes(binary.read_bytes()[16:18], "little") == ET_DYN
    server.wait_listening()
    server.wait_status("READY")
    for seconds in (0, 1, 0):
        assert (
            server.predict({"seconds": seconds}, webhook="http://127.0.0.1:9/").json["output"]
            == "done"
        )
