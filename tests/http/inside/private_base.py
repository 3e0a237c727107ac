"""Run by test_durable_by_default.py in namespaces, where /dev/shm is a separate file system."""

from __future__ import annotations

import os
import pathlib
import subprocess

import pytest

from namespaces import loopback
from waiting import until

SHM = pathlib.Path("/dev/shm")
BASE = SHM / f"coggo-{os.geteuid()}"
MODEL = "def predict() -> int:\n    return 1\n"


@pytest.fixture(autouse=True, scope="module")
def machine():
    loopback()


@pytest.fixture(autouse=True)
def shared_memory():
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=1777", "none", str(SHM)], check=True)
    yield
    subprocess.run(["umount", "-l", str(SHM)], check=True)


def directory(server):
    [line] = [line for line in server.log().splitlines() if "msg=listening" in line]
    return pathlib.Path(line.rpartition("directory=")[2])


@pytest.fixture
def serve(start, tmp_path):
    def made():
        return start(MODEL, "--port", "5000", model_dir=tmp_path, predict="predict.py:predict")

    return made


def open_to_all():
    BASE.mkdir()
    BASE.chmod(0o777)


def readable():
    BASE.mkdir()
    BASE.chmod(0o755)


def link():
    (SHM / "elsewhere").mkdir(0o700)
    BASE.symlink_to(SHM / "elsewhere")


def dangling():
    BASE.symlink_to(SHM / "nothing")


def file():
    BASE.touch()


@pytest.mark.parametrize("trap", [open_to_all, readable, link, dangling, file])
def test_a_base_directory_open_to_others_is_not_used(serve, trap):
    trap()
    before = sorted(path.name for path in SHM.rglob("*"))
    server = serve()
    assert "is not a directory of this user alone" in server.log()
    path = directory(server)
    assert path.parent == SHM and path.name.startswith("coggo-ephemeral-")
    server.process.terminate()
    assert server.process.wait(20) == 0
    assert sorted(path.name for path in SHM.rglob("*")) == before


def test_a_base_directory_replaced_while_the_server_runs_is_no_longer_used(serve, tmp_path):
    server = serve()
    assert directory(server).parent == BASE
    BASE.rename(SHM / "away")  # as a model may remove it
    open_to_all()
    os.kill(server.runner(), 9)
    until("it says so", lambda: "is not a directory of this user alone" in server.log())
    assert list(BASE.iterdir()) == []
    BASE.rmdir()
    until("it serves again", lambda: server.predict({}).json.get("output") == 1)
    assert directory(server).is_dir()


def test_leftover_links_are_not_swept(serve):
    """A link that looks like the directory of a killed server may be a trap of another user."""
    target = SHM / "target"
    target.mkdir()
    for name in ("ephemeral", "lock"):
        (target / name).touch()
    for kind in ("ephemeral", "inputs"):
        (SHM / f"coggo-{kind}-1").symlink_to(target)
        trap = SHM / f"coggo-{kind}-2"
        trap.mkdir()
        (trap / "ephemeral").touch()
        (trap / "lock").symlink_to(SHM / "made")
    serve()
    assert (target / "lock").exists() and not (SHM / "made").exists()
