"""The disk is full or read-only: each prediction says so, health says why, and all is well when there is room again."""

from __future__ import annotations

import os
import pathlib
import subprocess

import pytest

from faults_models import ASYNC, ASYNC_MODEL, MODEL, asked, begun, ends, files_in
from http_harness import Receiver, Server
from waiting import until

FULL = "the working directory can't be written: no space left on device"


class Disk:
    """A small filesystem that can be filled, and made read-only."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "coggo-test", str(path)], check=True)

    def fill(self) -> None:
        with open(self.path / "fill", "ab", 0) as file, pytest.raises(OSError, match="No space"):
            while True:
                file.write(bytes(4096))

    def free(self) -> None:
        os.truncate(self.path / "fill", 0)

    def writable(self, yes: bool) -> None:
        mode = "rw" if yes else "ro"
        subprocess.run(["mount", "-o", f"remount,{mode}", str(self.path)], check=True)

    def close(self) -> None:
        subprocess.run(["umount", "-l", str(self.path)], check=True)


@pytest.fixture
def disk(tmp_path):
    try:
        made = Disk(tmp_path)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("only a user who may mount can make a small disk")
    yield made
    made.close()


@pytest.fixture(params=[MODEL, ASYNC_MODEL], ids=["sync", "async"])
def server(request, start, disk):
    found = start(request.param, "--working-dir", str(disk.path / "spool"), "--max-queue", "2", "--max-restarts", "0")
    yield found
    found.close()  # before the disk goes


def well(server: Server) -> None:
    server.wait_status("READY")
    body = server.predict({}).json
    assert body["status"] == "succeeded", body


def test_new_predictions_fail_with_the_reason_and_health_says_it(
    server: Server, disk: Disk, receiver: Receiver
) -> None:
    well(server)
    disk.fill()
    waited = server.predict({}, id="waited", webhook=receiver.url)
    assert (waited.status, waited.json["status"], waited.json["error"]) == (200, "failed", FULL)
    server.predict({}, ASYNC, id="detached", webhook=receiver.url)
    assert server.ended("detached")["error"] == FULL
    health = server.health()
    assert (health["status"], health["user_healthcheck_error"]) == ("UNHEALTHY", FULL)
    assert server.get("/readyz").status == 503 and server.get("/livez").status == 200
    until("both were told", lambda: ends(receiver) == {"waited": ["failed"], "detached": ["failed"]})
    runner = server.runner()
    disk.free()
    well(server)
    assert server.runner() == runner, "it was not restarted"


def test_a_prediction_that_ends_on_a_full_disk_says_so(server: Server, disk: Disk, receiver: Receiver) -> None:
    gate = disk.path.parent / f"{disk.path.name}-gate"
    asked(server, {"gate": str(gate), "n": 3}, id="it", webhook=receiver.url)
    begun(server, "it")
    runner = server.runner()
    disk.fill()
    gate.touch()
    body = server.ended("it")
    gate.unlink()
    assert body["status"] == "failed" and "No space left on device" in body["error"], body
    assert body["output"] == ["part 3"] and body["logs"].startswith("line 3\n")
    until("it was told", lambda: ends(receiver) == {"it": ["failed"]})
    disk.free()
    well(server)
    assert server.runner() == runner, "it was not restarted"


def test_a_cancel_needs_no_room(server: Server, disk: Disk) -> None:
    asked(server, {"s": 600}, id="it")
    begun(server, "it")
    disk.fill()
    assert server.ask("POST", "/predictions/it/cancel").status == 200
    assert server.ended("it", 8)["status"] == "canceled", "well before the grace is over"
    disk.free()
    well(server)


def test_a_runner_that_dies_on_a_full_disk_comes_back_with_the_room(start, disk: Disk) -> None:
    server = start(MODEL, "--working-dir", str(disk.path / "spool"))
    disk.fill()
    os.kill(server.runner(), 9)
    server.wait_status("STARTING")
    assert server.health()["user_healthcheck_error"] == FULL
    until("a prediction is told why", lambda: FULL in server.predict({}).body.decode())
    disk.free()
    well(server)
    server.close()


def test_a_temporary_directory_without_room_is_the_predictions_own_affair(start, disk: Disk) -> None:
    source = """
import tempfile
from cog import BasePredictor, Path
class Predictor(BasePredictor):
    def predict(self, size: int = 1) -> Path:
        out = tempfile.NamedTemporaryFile(suffix=".bin", delete=False)
        out.write(bytes(size))
        out.close()
        return Path(out.name)
"""
    server = start(source, env={"TMPDIR": str(disk.path)})
    body = server.predict({"size": 4 << 20}).json
    assert body["status"] == "failed" and "No space left on device" in body["error"]
    for path in disk.path.iterdir():
        path.unlink()
    assert server.predict({}).json["status"] == "succeeded"
    server.process.send_signal(2)
    assert server.process.wait(20) == 0


def test_a_working_directory_that_can_not_be_made_is_told_at_once(disk: Disk, start) -> None:
    running = start(MODEL)
    disk.writable(False)
    other = subprocess.run(
        [running.process.args[0], "--port", "0", "--working-dir", str(disk.path / "spool"), "--predict", "x:y", "."],
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert other.returncode == 1 and "read-only file system" in other.stderr
    disk.writable(True)


def test_the_model_directory_is_never_written_to(start, tmp_path) -> None:
    (tmp_path / "predict.py").write_text("import helper\n" + MODEL)
    (tmp_path / "helper.py").write_text("import sub.deep\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "__init__.py").touch()
    (tmp_path / "sub" / "deep.py").touch()
    before = files_in(tmp_path)
    server = start(model_dir=tmp_path)
    assert server.predict({}).json["status"] == "succeeded"
    assert files_in(tmp_path) == before
