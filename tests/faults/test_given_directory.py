"""The directory of ``--working-dir`` may belong to another user, or be unusable."""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import pytest

from http_harness import Server
from namespaces import run_inside
from servers import BINARY, ROOT
from waiting import until

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root can start servers of several users"
)

#: Users without an account; the first is that of deploy/.
MODEL, NEIGHBOR = 10001, 10002

PREDICTOR = """
import time
def predict(seconds: float = 0) -> str:
    time.sleep(seconds)
    return "done"
"""

PYTHON = next(p for p in ("/usr/bin/python3", "/usr/local/bin/python3") if os.path.exists(p))


@pytest.fixture
def place():
    """A directory that every user can reach, with a model, the Python package and a volume."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="coggo-test-"))
    path.chmod(0o755)
    shutil.copytree(ROOT / "python", path / "python")
    for name in ("model", "tmp", "volume"):
        (path / name).mkdir()
    (path / "model" / "predict.py").write_text(PREDICTOR)
    for name in (
        "model",
        "tmp",
    ):  # the harness makes a directory in the first, the server in the second
        (path / name).chmod(0o1777)
    yield path
    shutil.rmtree(path)


def volume(place, mode, owner=0, group=0) -> pathlib.Path:
    os.chown(place / "volume", owner, group)
    (place / "volume").chmod(mode)
    return place / "volume"


def command(place, *flags, uid=MODEL, without=()) -> list[str]:
    ids = [f"--reuid={uid}", f"--regid={uid}", "--clear-groups"] if uid else ["--clear-groups"]
    ids += [f"--bounding-set=-{capability}" for capability in without]
    server = [
        BINARY,
        "--host",
        "127.0.0.1",
        "--port",
        "0",
        "--python",
        PYTHON,
        "--predict",
        "predict.py:predict",
    ]
    return [str(w) for w in ["setpriv", *ids, *server, *flags, place / "model"]]


def environment(place) -> dict[str, str]:
    return {
        "TMPDIR": str(place / "tmp"),
        "PYTHONPATH": str(place / "python"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


@pytest.fixture
def serve(place):
    """Starts a server as a user on a directory."""
    servers = []

    def begin(path: object, *flags: str, uid: int = MODEL) -> Server:
        line = command(place, "--working-dir", path, *flags, uid=uid)
        server = Server(BINARY, place / "model", PYTHON, (), env=environment(place), command=line)
        servers.append(server)
        server.wait_listening()
        server.wait_status("READY")
        return server

    yield begin
    for server in servers:
        server.close()


def refused(place, path, *flags, **options) -> str:
    """The error of a server that must not start on a directory."""
    line = command(place, "--working-dir", path, *flags, **options)
    done = subprocess.run(
        line, env={**os.environ, **environment(place)}, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 1, done.stderr
    return done.stderr


def state(path) -> tuple[int, str]:
    found = path.lstat()
    return found.st_uid, oct(found.st_mode)


OTHERS = {
    "kubernetes": (0o2777, 0, MODEL),
    "a group's": (0o2775, 0, MODEL),
    "everybody's": (0o1777, 0, 0),
}


@pytest.mark.parametrize("mode, owner, group", OTHERS.values(), ids=OTHERS)
def test_the_server_makes_a_private_directory_below_a_shared_one(place, serve, mode, owner, group):
    given = volume(place, mode, owner, group)
    before = state(given)
    first = serve(given)
    assert first.spool() == given / f"coggo-work-{MODEL}"
    assert state(first.spool()) == (MODEL, "0o40700") and state(given) == before
    assert [path.name for path in given.iterdir()] == [first.spool().name]
    answer = first.ask("PUT", "/predictions/done", {"input": {}})
    assert answer.json["output"] == "done"
    first.ask("PUT", "/predictions/cut", {"input": {"seconds": 600}}, Prefer="respond-async")
    until("it runs", lambda: first.get("/predictions/cut").json["status"] == "processing")
    first.kill()
    second = serve(given)
    assert second.spool() == first_of(given)
    assert [second.get(f"/predictions/{id}").json["status"] for id in ("done", "cut")] == [
        "succeeded",
        "failed",
    ]


def first_of(given) -> pathlib.Path:
    [path] = given.iterdir()
    return path


def test_a_private_directory_is_used_directly(place, serve):
    given = volume(place, 0o775, MODEL, MODEL)
    assert serve(given).spool() == given
    assert state(given) == (MODEL, "0o40700")


def test_root_does_not_use_a_world_writable_directory_directly(place, serve):
    given = volume(place, 0o1777)
    assert serve(given, uid=0).spool() == given / "coggo-work-0"
    assert state(given) == (0, "0o41777")


@pytest.mark.parametrize("mode, group", [(0o2777, MODEL), (0o2770, MODEL), (0o1777, 0)])
def test_a_directory_that_the_runner_user_may_write_to_is_left_unchanged(place, serve, mode, group):
    given = volume(place, mode, 0, group)
    (given / "lost+found").mkdir(0o700)
    before = state(given)
    server = serve(given, "--runner-user", f"{MODEL}:{MODEL}", uid=0)
    assert server.spool() == given / f"coggo-work-{MODEL}"
    assert state(server.spool()) == (MODEL, "0o40700") and state(given) == before


def test_a_second_server_of_a_user_on_one_volume_is_refused(place, serve):
    given = volume(place, 0o2777, 0, MODEL)
    first = serve(given)
    said = refused(place, given)
    assert f"{given}/coggo-work-{MODEL} is in use by another server" in said
    assert serve(given, uid=NEIGHBOR).spool() == given / f"coggo-work-{NEIGHBOR}"
    assert first.predict({}).json["output"] == "done"


def test_permissions_that_kubernetes_grants_to_the_group_are_revoked(place, serve):
    """Each time a pod mounts a volume with an fsGroup, Kubernetes opens all its files to the
    group.
    """
    given = volume(place, 0o2775, 0, MODEL)
    first = serve(given)
    path = first.spool()
    first.ask("PUT", "/predictions/done", {"input": {}})
    first.kill()
    for inside in [path, *path.rglob("*")]:
        os.chown(inside, -1, MODEL, follow_symlinks=False)
        inside.chmod(inside.stat().st_mode | (0o2770 if inside.is_dir() else 0o660))
    assert state(path) == (MODEL, "0o42770")
    second = serve(given)
    assert state(path) == (MODEL, "0o40700")
    assert second.get("/predictions/done").json["output"] == "done"


def link(at, place):
    target = place / "tmp" / "elsewhere"
    target.mkdir()
    os.chown(target, MODEL, MODEL)
    at.symlink_to(target)


def dangling(at, place):
    at.symlink_to(place / "tmp" / "nothing")


def of_the_neighbor(at, place):
    at.mkdir(0o777)
    at.chmod(0o777)
    os.chown(at, NEIGHBOR, NEIGHBOR)


def open_to_all(at, place):
    at.mkdir()
    at.chmod(0o777)
    os.chown(at, MODEL, MODEL)


def file(at, place):
    at.touch()


@pytest.mark.parametrize("trap", [link, dangling, of_the_neighbor, open_to_all, file])
@pytest.mark.parametrize("mode", [0o1777, 0o2777], ids=oct)
def test_a_directory_made_by_another_user_is_not_used(place, mode, trap):
    given = volume(place, mode, 0, MODEL)
    at = given / f"coggo-work-{MODEL}"
    trap(at, place)
    before = sorted((str(path), state(path)) for path in place.rglob("*"))
    said = refused(place, given)
    assert f"{at} is not a directory of this user alone" in said and "remove it" in said
    assert sorted((str(path), state(path)) for path in place.rglob("*")) == before


def test_another_user_who_replaces_the_directory_gets_no_files(place, serve):
    given = volume(place, 0o2777, 0, MODEL)
    server = serve(given)
    path = server.spool()
    path.rename(given / "away")
    of_the_neighbor(path, place)
    os.kill(server.runner(), 9)
    until("it says so", lambda: "is not a directory of this user alone" in server.log())
    assert list(path.iterdir()) == []
    path.rmdir()
    until("it serves again", lambda: server.predict({}).json.get("output") == "done")
    assert state(path) == (MODEL, "0o40700")


def explained(said, at, mode, owner="uid 0 (root)", uid=MODEL) -> str:
    """The remedy in an error that names directory, owner, mode and the user of the server."""
    whole = rf"{re.escape(str(at))} belongs to {re.escape(owner)} and has mode {mode}, and the server runs as uid {uid}: (.*)"
    found = re.search(whole, said)
    assert found, said
    return found[1]


@pytest.mark.parametrize("below", ["", "new", "new/er"])
def test_the_error_of_a_directory_that_cannot_be_written_names_the_remedy(place, below):
    given = volume(place, 0o755)
    said = refused(place, given / below)
    assert f"--working-dir {given / below}: " in said and "permission denied" in said
    help = explained(said, given, "0755")
    for remedy in (
        f"chown -R {MODEL}:{MODEL} {given}",
        f"fsGroup: {MODEL}",
        "another --working-dir",
    ):
        assert remedy in help
    assert list(given.iterdir()) == []


def test_leftovers_of_an_earlier_server_of_root_are_not_skipped(place, serve):
    """With another directory, the server would not find the predictions of the earlier one."""
    given = volume(place, 0o755)
    server = serve(given, uid=0)
    server.kill()
    assert f"chown -R {MODEL}:{MODEL} {given}" in explained(refused(place, given), given, "0700")


def test_root_that_may_not_change_owners_names_the_remedy(place):
    given = volume(place, 0o755)
    user = ("--runner-user", f"{MODEL}:{MODEL}")
    said = refused(place, f"{given}/", *user, uid=0, without=["chown"])
    assert "operation not permitted" in said
    assert f"chown -R {MODEL}:{MODEL} {given}" in explained(said, given, "0700")


def test_the_error_of_a_path_that_is_not_a_directory_says_so(place):
    (place / "file").touch()
    said = refused(place, place / "file" / "below")
    assert "not a directory" in said
    assert "another --working-dir" in explained(said, place / "file", "0644")


def test_read_only_and_full_file_systems_are_named():
    run_inside("given_directory.py")
