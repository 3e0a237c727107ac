"""Run by test_kubernetes.py in namespaces, where /run is a separate file system."""

from __future__ import annotations

import pathlib
import subprocess

import pytest

from namespaces import loopback
from waiting import until

READY = pathlib.Path("/var/run/cog/ready")
MODEL = """
import pathlib, time
class Predictor:
    def setup(self):
        while not pathlib.Path("go").exists(): time.sleep(0.01)
        if pathlib.Path("go").read_text():
            raise RuntimeError("no weights")
    def predict(self) -> str:
        return "done"
"""
INSIDE = {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}


@pytest.fixture(autouse=True, scope="module")
def machine():
    subprocess.run(["mount", "-t", "tmpfs", "none", "/run"], check=True)
    loopback()


@pytest.fixture
def server(start, tmp_path):
    def made(env):
        (tmp_path / "predict.py").write_text(MODEL)
        return start(model_dir=tmp_path, ready=False, env=env)

    return made


def test_the_ready_file_appears_after_setup_and_is_removed_with_the_server(server, tmp_path):
    READY.parent.mkdir()
    READY.touch()  # of an earlier server in the same container
    made = server(INSIDE)
    for _ in range(20):
        assert made.health()["status"] == "STARTING" and not READY.exists(), (
            "the file appeared too early"
        )
    (tmp_path / "go").touch()
    until("the file is there, though nobody asks for the health", READY.exists)
    assert made.health()["status"] == "READY"
    made.ask("POST", "/shutdown")
    assert made.process.wait(20) == 0
    assert not READY.exists()


def test_the_ready_file_does_not_appear_when_setup_failed(server, tmp_path):
    (tmp_path / "go").write_text("fail")
    made = server(INSIDE)
    made.wait_status("SETUP_FAILED")
    for _ in range(20):
        made.health()
    assert not READY.exists()


def test_the_ready_file_does_not_appear_outside_of_kubernetes(server, tmp_path):
    (tmp_path / "go").touch()
    made = server({"KUBERNETES_SERVICE_HOST": ""})
    made.wait_status("READY")
    made.predict({})
    assert not READY.exists()
