"""``--reload``: some changes of files reload the model, and others do not."""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import shutil
import subprocess

import pytest

from http_reload import ECHO, NEW, Model, served_directory
from model_sources import model_source
from servers import BINARY, Starter, real_python
from waiting import until


@pytest.fixture
def directory(tmp_path: pathlib.Path) -> pathlib.Path:
    return served_directory(tmp_path)


def test_files_written_by_the_model_itself_are_not_a_change(
    start: Starter, directory: pathlib.Path
) -> None:
    (directory / "predict.py").write_text(model_source("http/reload_writes"))
    for name in ("known.json", "cache.json"):
        (directory / name).write_text("old")
    model = Model(start, directory)
    for n in range(5):
        assert model.server.predict({"n": n}).json["output"] == str(n)
    until("it was seen", lambda: "taken for the model's own" in model.server.log())
    assert model.loads() == 0
    before = model.started()
    model.save("by hand", "known.json")
    model.reloaded(before)
    assert model.loads() == 1


def test_code_that_setup_writes_unchanged_is_not_a_change(
    start: Starter, directory: pathlib.Path
) -> None:
    (directory / "made.py").write_text("x = 1")
    model = Model(start, directory)
    writes = (
        NEW
        + "    def setup(self):\n        with open('made.py', 'w') as made: made.write('x = 1')\n"
    )
    model.saved(writes)
    until("it was seen", lambda: "taken for the model's own" in model.server.log())
    assert model.loads() == 1
    before = model.started()
    model.save("x = 2", "made.py")
    model.reloaded(before)


def test_a_file_that_is_replaced_by_a_rename_is_a_change(
    start: Starter, directory: pathlib.Path
) -> None:
    for name in ("predict.py", "cog.yaml"):
        os.utime(directory / name, (1, 1))
    model = Model(start, directory)
    for status, old, new in (
        ("SETUP_FAILED", "predict.py", "away"),
        ("READY", "away", "predict.py"),
    ):
        before = model.started()
        (directory / old).rename(directory / new)
        model.reloaded(before, status)


def test_a_directory_that_is_made_again_is_watched(start: Starter, directory: pathlib.Path) -> None:
    model = Model(start, directory)
    copy = shutil.copytree(directory, directory.with_name("copy"))
    shutil.rmtree(directory)
    until("it is logged", lambda: "changes are not seen" in model.server.log())
    before = model.started()
    (copy / "predict.py").write_text(NEW)
    copy.rename(directory)
    model.reloaded(before)
    model.saved(ECHO.format(word="back"))
    assert model.server.log().count("changes are not seen") == 1


def test_a_directory_that_takes_the_place_of_another_is_watched(
    start: Starter, directory: pathlib.Path
) -> None:
    model = Model(start, directory)
    copy = shutil.copytree(directory, directory.with_name("copy"))
    (copy / "predict.py").write_text(NEW)
    before = model.started()
    directory.rename(directory.with_name("old"))
    copy.rename(directory)
    model.reloaded(before)
    model.saved(ECHO.format(word="back"))


def test_an_unreadable_directory_is_skipped(start: Starter, directory: pathlib.Path) -> None:
    (directory / "closed").mkdir(0o000)
    server = [
        BINARY,
        "--reload",
        "--host",
        "127.0.0.1",
        "--port",
        "0",
        "--python",
        real_python(),
        directory,
    ]
    weak = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", *map(str, server)]
    model = Model(start, directory, command=weak if os.geteuid() == 0 else weak[2:])
    model.saved(NEW)
    (directory / "later").mkdir(0o000)
    model.saved(ECHO.format(word="again"))
    assert "changes are not seen" not in model.server.log()


@pytest.mark.parametrize("what", ["instances", "watches"])
def test_a_limit_of_the_kernel_is_named(directory: pathlib.Path, what: str) -> None:
    limited = f'echo 0 > /proc/sys/user/max_inotify_{what}; exec "$@"'
    inside = ["unshare", "--map-root-user", "sh", "-c", limited, "sh"]
    if subprocess.run([*inside, "true"], capture_output=True).returncode:
        pytest.skip("this machine does not allow new namespaces: unshare --map-root-user")
    server = [BINARY, "--reload", "--port", "0", "--python", real_python(), directory]
    done = subprocess.run([*inside, *map(str, server)], capture_output=True, text=True, timeout=20)
    assert done.returncode == 1
    assert f"raise fs.inotify.max_user_{what} with sysctl" in done.stderr


def test_a_checkout_of_many_files_is_one_short_line(
    start: Starter, directory: pathlib.Path
) -> None:
    (directory / "lib").mkdir()
    for n in range(500):
        (directory / f"lib/m{n:03}.py").write_text("x = 1")
    model = Model(start, directory)
    before = model.started()
    for n in range(500):
        (directory / f"lib/m{n:03}.py").write_text("x = 22")
    model.reloaded(before)
    line = next(line for line in model.server.log().splitlines() if "reloading the model" in line)
    assert "lib/m000.py" in line and "other files" in line
    assert len(line) < 400


def test_files_that_are_not_code_are_ignored(start: Starter, directory: pathlib.Path) -> None:
    model = Model(start, directory)
    for name in (
        ".git/config.py",
        "__pycache__/a.py",
        "venv/pyvenv.cfg",
        ".hidden.py",
        "a.pyc",
        "predict.py~",
        "4913",
        "#predict.py#",
        "weights.bin",
    ):
        path = directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")
    (directory / "venv/lib.py").write_text("x")
    before = model.started()
    os.utime(directory / "predict.py")  # this one comes after them
    model.reloaded(before)
    assert re.findall(r'reloading the model" changed=(\S+)', model.server.log()) == ["predict.py"]


def test_a_model_behind_a_symbolic_link_is_watched(
    start: Starter, directory: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "link").symlink_to(directory)
    model = Model(start, tmp_path / "link", "--working-dir", str(tmp_path / "link/work"))
    before = model.started()
    (directory / "predict.py").write_text(NEW)
    model.reloaded(before)
    for _ in range(3):  # the messages of a prediction are not the model's files
        assert model.server.predict({}).json["output"] == "new"
    assert model.loads() == 1


def test_reloads_do_not_count_as_crashes_and_leak_nothing(
    start: Starter, directory: pathlib.Path
) -> None:
    model = Model(start, directory, "--max-restarts", "0")
    pid = model.server.process.pid

    def held() -> tuple[int, int]:
        kinds = {}
        for descriptor in pathlib.Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                kinds[descriptor.name] = os.readlink(descriptor)
        own = next(number for number, kind in kinds.items() if "inotify" in kind)
        watches = pathlib.Path(f"/proc/{pid}/fdinfo/{own}").read_text().count("inotify wd:")
        return len(kinds), watches

    model.saved(NEW)
    before = held()
    for n in range(6):
        (directory / f"d{n}").mkdir()
        model.saved(NEW if n % 2 else "def (:\n", status="READY" if n % 2 else "SETUP_FAILED")
        (directory / f"d{n}").rmdir()
    model.saved(NEW)

    def none_is_left() -> bool:
        # The first count may include the connection of an earlier request.
        descriptors, watches = held()
        return descriptors <= before[0] and watches == before[1]

    until(f"no more descriptors and watches than before, {before}", none_is_left)
    assert "runner ended" not in model.server.log()


def test_without_the_flag_nothing_is_watched(start: Starter, directory: pathlib.Path) -> None:
    server = start("", model_dir=directory)
    descriptors = pathlib.Path(f"/proc/{server.process.pid}/fd")
    assert not [fd for fd in descriptors.iterdir() if "inotify" in os.readlink(fd)]


def test_the_server_can_stop_during_a_reload(start: Starter, directory: pathlib.Path) -> None:
    model = Model(start, directory)
    model.save(
        NEW
        + "    def setup(self):\n        print('waits for ever', flush=True)\n        import time; time.sleep(1000)\n"
    )
    until("it is being set up", lambda: "waits for ever" in model.server.health()["setup"]["logs"])
    model.server.ask("POST", "/shutdown")
    assert model.server.process.wait(15) == 0
