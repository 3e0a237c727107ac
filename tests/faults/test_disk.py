"""The disk is full or read-only: each prediction fails with that reason, health reports it, and the
server works again once there is room.
"""

from __future__ import annotations

import os
import pathlib
import resource

import pytest

from faults_disk import FULL, READ_ONLY, TOO_LARGE, Disk, small_disks, unhealthy, well
from faults_models import ASYNC, ASYNC_MODEL, MODEL, asked, begun, ends, files_in
from http_harness import Answer, Receiver, Server
from servers import start_error
from waiting import until

#: Writes a temporary file of ``size`` bytes and returns it.
WRITES = """
import os, tempfile
from cog import BasePredictor, Path
class Predictor(BasePredictor):
    def predict(self, size: int = 0) -> Path:
        if not size:
            return Path(__file__)
        out = tempfile.NamedTemporaryFile(suffix=".bin", delete=False, dir=os.environ["TMPDIR"])
        out.write(bytes(size))
        out.close()
        return Path(out.name)
"""


@pytest.fixture
def small(tmp_path):
    """Makes a small disk."""
    with small_disks(tmp_path) as mount:
        yield mount


@pytest.fixture
def disk(small):
    return small("size=1m")


@pytest.fixture(params=[MODEL, ASYNC_MODEL], ids=["sync", "async"])
def server(request, start, disk):
    found = start(
        request.param,
        "--working-dir",
        str(disk.path / "spool"),
        "--max-queue",
        "2",
        "--max-restarts",
        "0",
    )
    yield found
    found.close()  # before the disk goes


def nothing_runs(server: Server, receiver: Receiver, why: str) -> None:
    """Answer, webhook and health all name the reason, and the process goes on."""
    waited = server.predict({}, id="waited", webhook=receiver.url)
    assert (waited.status, waited.json["status"], waited.json["error"]) == (200, "failed", why)
    server.predict({}, ASYNC, id="detached", webhook=receiver.url)
    assert server.ended("detached")["error"] == why
    unhealthy(server, why)
    assert server.get("/readyz").status == 503 and server.get("/livez").status == 200
    until(
        "the receiver has both ends",
        lambda: ends(receiver) == {"waited": ["failed"], "detached": ["failed"]},
    )


def test_new_predictions_fail_with_the_reason_and_health_says_it(
    server: Server, disk: Disk, receiver: Receiver
) -> None:
    well(server)
    disk.fill()
    nothing_runs(server, receiver, FULL)
    runner = server.runner()
    disk.free()
    well(server)
    assert server.runner() == runner, "it was not restarted"


def test_a_prediction_that_ends_on_a_full_disk_says_so(
    server: Server, disk: Disk, receiver: Receiver
) -> None:
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
    until("the receiver has the end", lambda: ends(receiver) == {"it": ["failed"]})
    disk.free()
    well(server)
    assert server.runner() == runner, "it was not restarted"


def test_a_cancel_works_on_a_full_disk(server: Server, disk: Disk) -> None:
    asked(server, {"s": 600}, id="it")
    begun(server, "it")
    disk.fill()
    assert server.ask("POST", "/predictions/it/cancel").status == 200
    assert server.ended("it", 8)["status"] == "canceled", "well before the grace period is over"
    disk.free()
    well(server)


def test_an_upload_to_a_full_disk_is_refused_with_the_reason(server: Server, disk: Disk) -> None:
    well(server)

    def upload(size: int) -> Answer:
        part = b'--b\r\nContent-Disposition: form-data; name="content"; filename="a.bin"\r\n\r\n'
        form = part + bytes(size) + b"\r\n--b--\r\n"
        return server.ask("POST", "/v1/files", form, Content_Type="multipart/form-data; boundary=b")

    for size in (100, 2 << 20):  # before its contents, and in the middle of them
        if size == 100:
            disk.fill()
        refused = upload(size)
        assert (refused.status, refused.json["detail"]) == (507, FULL)
        disk.free()
    assert server.get("/v1/files").json["results"] == []
    assert upload(100).status == 201
    well(server)


def test_a_runner_that_dies_on_a_full_disk_restarts_once_there_is_room(start, disk: Disk) -> None:
    server = start(MODEL, "--working-dir", str(disk.path / "spool"))
    disk.fill()
    os.kill(server.runner(), 9)
    server.wait_status("STARTING")
    until("health says why", lambda: server.health().get("user_healthcheck_error") == FULL)
    until("a prediction gets the reason", lambda: FULL in server.predict({}).body.decode())
    disk.free()
    well(server)
    server.close()


def test_a_read_only_working_directory_is_reported_until_it_is_writable(
    server: Server, disk: Disk, receiver: Receiver
) -> None:
    well(server)
    runner = server.runner()
    with disk.read_only(disk.path / "spool"):
        nothing_runs(server, receiver, READ_ONLY)
    well(server)
    assert server.runner() == runner, "it was not restarted"


def test_a_prediction_that_ends_on_a_read_only_disk_says_so(
    server: Server, disk: Disk, receiver: Receiver
) -> None:
    """The runner ends because it can't write the response. The server restarts it as soon as there
    is room, and does not count that as a crash.
    """
    gate = disk.path.parent / f"{disk.path.name}-gate"
    asked(server, {"gate": str(gate)}, id="it", webhook=receiver.url)
    begun(server, "it")
    with disk.read_only(disk.path / "spool"):
        gate.touch()
        body = server.ended("it")
        gate.unlink()
        assert body["status"] == "failed" and "read-only file system" in body["error"], body
        until("the receiver has the end", lambda: ends(receiver) == {"it": ["failed"]})
        until("health says why", lambda: server.health().get("user_healthcheck_error") == READ_ONLY)
        until("a client gets the reason", lambda: READ_ONLY in server.predict({}).body.decode())
    well(server)
    again = server.ask("PUT", "/predictions/it", {"input": {"n": 4}})
    assert again.json["output"] == ["part 4"], "nothing of the first run was left"


def test_a_cancel_on_a_read_only_disk_ends_the_prediction(start, disk: Disk) -> None:
    server = start(MODEL, "--working-dir", str(disk.path / "spool"), "--cancel-grace", "300ms")
    asked(server, {"s": 600}, id="it")
    begun(server, "it")
    with disk.read_only(disk.path / "spool"):
        assert server.ask("POST", "/predictions/it/cancel").status == 200
        assert server.ended("it")["status"] == "canceled"
    well(server)
    server.close()


def test_read_only_model_and_temporary_directories_fail_only_predictions_that_write_there(
    start, disk: Disk
) -> None:
    (disk.path / "model").mkdir()
    (disk.path / "temporary").mkdir()
    server = start(
        WRITES, model_dir=disk.path / "model", env={"TMPDIR": str(disk.path / "temporary")}
    )
    with disk.read_only(disk.path / "model"), disk.read_only(disk.path / "temporary"):
        body = server.predict({"size": 1}).json
        assert body["status"] == "failed" and "Read-only file system" in body["error"], body
        assert server.predict({}).json["status"] == "succeeded"
        assert server.health()["status"] == "READY"
        os.kill(server.runner(), 9)
        until("the next one works", lambda: server.predict({}).json.get("status") == "succeeded")
    assert server.predict({"size": 1}).json["status"] == "succeeded"
    server.close()


def test_a_disk_without_free_inodes_counts_as_full(
    start, tmp_path: pathlib.Path, receiver: Receiver, small
) -> None:
    disk = small("nr_inodes=60")
    server = start(MODEL, "--working-dir", str(disk.path / "spool"), "--cancel-grace", "300ms")
    runner = server.runner()
    disk.take_names()
    waited = server.predict({}, id="waited", webhook=receiver.url)
    assert (waited.status, waited.json["status"], waited.json["error"]) == (200, "failed", FULL)
    unhealthy(server, FULL)
    disk.give_names()
    well(server)
    assert server.runner() == runner, "it was not restarted"
    asked(server, {"s": 600}, id="it")
    begun(server, "it")
    disk.take_names()
    server.ask("POST", "/predictions/it/cancel")
    assert server.ended("it")["status"] == "canceled"
    disk.give_names()
    well(server)
    server.close()


@pytest.mark.parametrize("source", [MODEL, ASYNC_MODEL], ids=["sync", "async"])
def test_a_file_above_the_size_limit_fails(start, tmp_path: pathlib.Path, source: str) -> None:
    """RLIMIT_FSIZE of both processes, as `ulimit -f` or LimitFSIZE of systemd sets it."""
    server = start(source.replace('yield f"part {n}"', 'yield f"part {n}" + "x" * (n << 10)'))
    pids = server.process.pid, server.runner()
    for pid in pids:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (256 << 10, resource.RLIM_INFINITY))
    given = server.predict({"gate": "x" * (300 << 10)}).json
    assert (given["status"], given["error"]) == ("failed", TOO_LARGE)
    made = server.predict({"n": 300}).json
    assert made["status"] == "failed" and "File too large" in made["error"], made
    well(server)
    for pid in pids:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    assert server.predict({}).json["error"] == TOO_LARGE
    unhealthy(server, TOO_LARGE)
    for pid in pids:
        resource.prlimit(
            pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        )
    well(server)
    assert (server.process.pid, server.runner()) == pids, "neither was restarted"


def test_a_full_temporary_directory_fails_only_predictions_that_write_there(
    start, disk: Disk
) -> None:
    server = start(WRITES, env={"TMPDIR": str(disk.path)})
    body = server.predict({"size": 4 << 20}).json
    assert body["status"] == "failed" and "No space left on device" in body["error"]
    for path in disk.path.glob("*.bin"):
        path.unlink()
    assert server.predict({}).json["status"] == "succeeded"
    server.process.send_signal(2)
    assert server.process.wait(20) == 0


TAKES = """
from cog import BasePredictor
class Predictor(BasePredictor):
    def predict(self, text: str) -> int:
        return len(text)
"""


def test_the_space_of_a_large_input_is_free_for_the_next_one(start, small) -> None:
    disk = small("size=20m")  # room for a request and its journal entry, but not for a third
    server = start(TAKES, "--working-dir", str(disk.path / "spool"))
    text = "x" * (8 << 20)
    try:
        for _ in range(20):
            body = server.predict({"text": text}).json
            assert (body["status"], body["output"]) == ("succeeded", len(text)), body["error"]
    finally:
        server.close()  # before the disk goes


def test_a_working_directory_that_cannot_be_made_is_reported_at_once(disk: Disk, start) -> None:
    start(MODEL)
    disk.writable(False)
    error = start_error("--working-dir", disk.path / "spool", ".")
    assert "read-only file system" in error
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
    assert [
        name for name in files_in(tmp_path) if not name.startswith(server.temporary.name)
    ] == before


PRINTS = """
import time
from cog import BasePredictor
class Predictor(BasePredictor):
    def predict(self, lines: int) -> str:
        print("begins", flush=True)
        time.sleep(0.1)
        for _ in range(lines):
            print("x" * 999)
        time.sleep(0.1)
        return "y" * 100_000
"""


@pytest.mark.parametrize("kind", ["text", "json"])
def test_logs_leave_room_for_the_answer(start, disk, kind):
    where = ("--working-dir", str(disk.path / "spool"))
    server = start(PRINTS, *where, env={"LOG_FORMAT": kind})
    try:
        body = server.predict({"lines": 3000}, id="it").json  # three times the disk
        assert body["status"] == "succeeded" and body["logs"].count("\n") == 3001
    finally:
        server.close()  # before the disk goes
