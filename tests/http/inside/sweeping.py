"""Run by test_durable_by_default.py in namespaces, where /dev/shm is a separate file system that no
other server sweeps.
"""

from __future__ import annotations

import pathlib
import subprocess

import pytest

from faults_models import MODEL, TERMINAL, asked, files_in
from namespaces import loopback
from servers import BINARY

SHM = pathlib.Path("/dev/shm")
CHOSEN = SHM / "coggo-ephemeral-data"


@pytest.fixture(autouse=True, scope="module")
def machine():
    loopback()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=1777", "none", str(SHM)], check=True)


@pytest.mark.parametrize("who", ["serve", "predict", "check"])
def test_directories_of_a_stopped_server_are_not_swept(start, tmp_path, who):
    """Neither the default directory nor one that an operator chose, whatever its name."""
    flags = (("--port", "5000"), ("--working-dir", str(CHOSEN)))
    for some in flags:
        server = start(MODEL, *some, model_dir=tmp_path)
        asked(server, {"s": 600}, id=f"it-{who}")
        server.kill()
    before = files_in(SHM)
    assert len([name for name in before if f"request-it-{who}" in name]) == 2
    if who == "serve":
        server = start(MODEL)
        server.process.terminate()
        assert server.process.wait(30) == 0
    else:
        command = [str(BINARY), who, "--predict", "predict.py:Predictor", str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
    assert files_in(SHM) == before
    for some in flags:
        server = start(MODEL, *some, model_dir=tmp_path)
        assert server.get(f"/predictions/it-{who}").json["status"] in TERMINAL
        server.process.terminate()
        assert server.process.wait(30) == 0


def test_an_ephemeral_directory_that_an_operator_takes_over_is_not_swept(start, tmp_path):
    killed = start(MODEL, "--ephemeral", model_dir=tmp_path)
    killed.kill()
    (path,) = set(SHM.glob("coggo-ephemeral-*")) - {CHOSEN}
    taken = start(MODEL, "--working-dir", str(path), model_dir=tmp_path)
    asked(taken, {"s": 600}, id="it")
    taken.kill()
    start(MODEL)
    last = start(MODEL, "--working-dir", str(path), model_dir=tmp_path)
    assert last.get("/predictions/it").json["status"] == "failed"
