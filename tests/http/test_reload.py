"""``--reload``: the model is reloaded when its files change, and nothing is lost by it."""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import threading
from typing import Any

import pytest

from conftest import BINARY, Starter, real_python
from http_harness import Answer, Server
from model_sources import model_source
from waiting import until

ECHO = """
from cog import BasePredictor
class Predictor(BasePredictor):
    def predict(self, name: str) -> str:
        return "{word} " + name
"""
#: Runs until there is a file beside the model whose name it is given.
SLOW = model_source("http/reload_slow")
NEW = """
from cog import BasePredictor
class Predictor(BasePredictor):
    def predict(self, until: str = "x", times: int = 1) -> str:
        return "new" * times
"""


class Model:
    """A served model that a test works on."""

    def __init__(
        self, start: Starter, directory: pathlib.Path, *flags: str, **options: Any
    ) -> None:
        self.directory = directory
        self.server: Server = start("", "--reload", *flags, model_dir=directory, **options)

    def save(self, text: str, name: str = "predict.py") -> None:
        """Write a file as editors do: to another name, then to its own."""
        path = self.directory / name
        half = path.with_name(f".{path.name}.half")
        half.write_text(text)
        half.rename(path)

    def started(self) -> Any:
        return self.server.health()["setup"]["started_at"]

    def saved(self, text: str, name: str = "predict.py", status: str = "READY") -> Any:
        """Save a file and wait until the model was loaded with it. Returns the health then."""
        before = self.started()
        self.save(text, name)
        return self.reloaded(before, status)

    def reloaded(self, before: str, status: str = "READY") -> Any:
        def look() -> Any:
            health = self.server.health()
            return health["setup"]["started_at"] != before and health["status"] == status and health

        try:
            return until(f"the model is reloaded and {status}", look)
        except AssertionError as late:
            raise AssertionError(f"{late}: {self.server.health()}\n{self.server.log()}") from None

    def loads(self) -> int:
        return self.server.log().count("reloading the model")


@pytest.fixture
def directory(tmp_path: pathlib.Path) -> pathlib.Path:
    made = tmp_path / "model"
    made.mkdir()
    (made / "predict.py").write_text(ECHO.format(word="hello"))
    (made / "cog.yaml").write_text('predict: "predict.py:Predictor"\n')
    return made


def inputs(server: Server) -> set[str]:
    return set(server.get("/openapi.json").json["components"]["schemas"]["Input"]["properties"])


def asked(server: Server, input: dict[str, Any]) -> tuple[threading.Thread, list[Answer]]:
    """A prediction that somebody waits for."""
    answers: list[Answer] = []
    thread = threading.Thread(target=lambda: answers.append(server.predict(input)))
    thread.start()
    return thread, answers


def busy(server: Server) -> None:
    until("a prediction runs", lambda: server.health()["status"] == "BUSY")


def test_a_saved_signature_is_served(start: Starter, directory: pathlib.Path) -> None:
    model = Model(start, directory)
    assert model.server.predict({"name": "you"}).json["output"] == "hello you"
    model.saved(NEW)
    assert inputs(model.server) == {"until", "times"}
    assert model.server.predict({"times": 2}).json["output"] == "newnew"
    assert "changed=predict.py" in model.server.log()


@pytest.mark.parametrize("first", [True, False], ids=["at the start", "later"])
@pytest.mark.parametrize(
    ("broken", "told"),
    [
        ("def (:\n", "SyntaxError"),
        ("import nothing_of_that_name\n", "nothing_of_that_name"),
        (NEW + "    def setup(self): raise RuntimeError('no weights')\n", "no weights"),
        (NEW + "    def setup(self): import os; os._exit(3)\n", "exit status 3"),
    ],
    ids=["syntax", "import", "setup", "death"],
)
def test_a_broken_model_is_reported_until_the_next_save(
    start: Starter, directory: pathlib.Path, broken: str, told: str, first: bool
) -> None:
    if first:
        (directory / "predict.py").write_text(broken)
        model = Model(start, directory, ready=False)
        model.server.wait_status("SETUP_FAILED")
    else:
        model = Model(start, directory)
        model.saved(broken, status="SETUP_FAILED")
        assert inputs(model.server)  # of the model that was loaded last
    health = model.server.health()
    assert told in health["setup"]["logs"]
    assert health["setup"]["status"] == "failed"
    refused = model.server.predict({})
    assert refused.status == 503
    assert told in model.server.log()
    model.saved(NEW)
    assert model.server.predict({"times": 2}).json["output"] == "newnew"
    assert model.server.process.poll() is None


def test_a_missing_module_may_come_later(start: Starter, directory: pathlib.Path) -> None:
    model = Model(start, directory)
    model.saved(
        "from inner.helper import word\n" + ECHO.format(word="x").replace('"x "', "word"),
        status="SETUP_FAILED",
    )
    before = model.started()
    (directory / "inner").mkdir()
    model.save("word = 'found '\n", "inner/helper.py")
    model.reloaded(before)
    assert model.server.predict({"name": "it"}).json["output"] == "found it"
    model.saved("word = 'again '\n", "inner/helper.py")  # the directory is watched by now
    assert model.server.predict({"name": "it"}).json["output"] == "again it"


def test_a_running_prediction_ends_with_the_old_model(
    start: Starter, directory: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    (directory / "predict.py").write_text(SLOW)
    model = Model(start, directory)
    thread, answers = asked(model.server, {"until": str(tmp_path / "go")})
    busy(model.server)
    before = model.started()
    model.save(NEW)
    model.server.wait_status("STARTING")
    refused = model.server.predict({})
    assert refused.status == 503
    assert refused.json["error"].startswith(
        "the model is being reloaded, because predict.py changed"
    )
    (tmp_path / "go").touch()
    model.reloaded(before)
    thread.join(20)
    assert answers[0].json["output"] == "old"
    assert model.server.predict({}).json["output"] == "new"


@pytest.mark.parametrize("kind", ["sync", "async", "batch", "stubborn"])
def test_a_prediction_that_takes_longer_than_the_grace_period_fails(
    start: Starter, directory: pathlib.Path, kind: str
) -> None:
    source = SLOW if kind == "sync" else model_source(f"http/reload_slow_{kind}")
    (directory / "predict.py").write_text(source)
    model = Model(
        start, directory, "--runner-shutdown-grace-period", "0.2", "--cancel-grace", "0.5"
    )
    thread, answers = asked(model.server, {"until": str(directory / "never")})
    until("it runs", lambda: model.server.health()["concurrency"]["current"] == 1)
    before = model.started()
    model.save(NEW)
    thread.join(20)
    assert answers[0].json["status"] == "failed"
    assert answers[0].json["error"] == "the model was reloaded before the prediction ended"
    model.reloaded(before)
    assert model.server.predict({}).json["output"] == "new"


def test_a_server_that_ends_waits_for_no_change(start: Starter, directory: pathlib.Path) -> None:
    model = Model(start, directory)
    model.server.process.send_signal(signal.SIGINT)
    assert model.server.process.wait(30) == 0
    assert "msg=stopped" in model.server.log() and "the next change" not in model.server.log()


def test_queued_predictions_are_checked_for_the_new_model(
    start: Starter, directory: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    (directory / "predict.py").write_text(SLOW)
    model = Model(start, directory, "--max-queue", "4")
    thread, answers = asked(model.server, {"until": str(tmp_path / "go")})
    busy(model.server)
    for id in ("one", "two"):
        accepted = model.server.ask(
            "PUT", f"/predictions/{id}", {"input": {"until": "/"}}, Prefer="respond-async"
        )
        assert accepted.status == 202
    before = model.started()
    model.save(NEW.replace('until: str = "x"', "until: str").replace('"new"', 'until + "new"'))
    model.server.wait_status("STARTING")
    (tmp_path / "go").touch()
    model.reloaded(before)
    thread.join(20)
    assert answers[0].json["output"] == "old"
    assert model.server.ended("one")["output"] == "/new"
    assert model.server.ended("two")["output"] == "/new"


def test_a_queued_prediction_that_no_longer_fits_fails(
    start: Starter, directory: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    (directory / "predict.py").write_text(SLOW)
    model = Model(start, directory, "--max-queue", "4")
    thread, _ = asked(model.server, {"until": str(tmp_path / "go")})
    busy(model.server)
    model.server.ask("PUT", "/predictions/one", {"input": {"until": "/"}}, Prefer="respond-async")
    before = model.started()
    model.save(NEW.replace('until: str = "x"', "until: int"))
    model.server.wait_status("STARTING")
    (tmp_path / "go").touch()
    model.reloaded(before)
    thread.join(20)
    ended = model.server.ended("one")
    assert ended["status"] == "failed"
    assert ended["error"].startswith("the input no longer fits the model")


def test_queued_predictions_fail_with_a_broken_model(
    start: Starter, directory: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    (directory / "predict.py").write_text(SLOW)
    model = Model(start, directory, "--max-queue", "4")
    thread, _ = asked(model.server, {"until": str(tmp_path / "go")})
    busy(model.server)
    model.server.ask("PUT", "/predictions/one", {"input": {"until": "/"}}, Prefer="respond-async")
    before = model.started()
    model.save("def (:\n")
    model.server.wait_status("STARTING")
    (tmp_path / "go").touch()
    model.reloaded(before, "SETUP_FAILED")
    thread.join(20)
    assert "invalid syntax" in model.server.ended("one")["error"]


def test_cog_yaml_is_read_again(start: Starter, directory: pathlib.Path) -> None:
    (directory / "other.py").write_text(model_source("http/reload_new_async"))
    model = Model(start, directory)
    assert model.server.ask("POST", "/trainings", {"input": {"n": 2}}).status == 404
    health = model.saved(
        'predict: "other.py:Predictor"\ntrain: "other.py:train"\nconcurrency: {max: 3}\n',
        "cog.yaml",
    )
    assert health["concurrency"]["max"] == 3
    assert model.server.predict({}).json["output"] == "new"
    assert model.server.ask("POST", "/trainings", {"input": {"n": 2}}).json["output"] == "xx"
    health = model.saved("predict: [\n", "cog.yaml", "SETUP_FAILED")
    assert "cog.yaml" in health["setup"]["logs"]
    health = model.saved("build: {}\n", "cog.yaml", "SETUP_FAILED")
    assert "no predictor" in health["setup"]["logs"]
    health = model.saved('predict: "predict.py:Predictor"\n', "cog.yaml")
    assert health["concurrency"]["max"] == 1
    assert model.server.predict({"name": "you"}).json["output"] == "hello you"
    assert model.server.ask("POST", "/trainings", {"input": {"n": 2}}).status == 404


def test_flags_go_before_cog_yaml_at_each_load(start: Starter, directory: pathlib.Path) -> None:
    (directory / "other.py").write_text(NEW)
    model = Model(start, directory, "--predict", "other.py:Predictor")
    model.saved('predict: "nowhere.py:Predictor"\n', "cog.yaml")
    assert model.server.predict({}).json["output"] == "new"


def test_each_of_several_runners_is_reloaded(
    start: Starter, directory: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    (directory / "predict.py").write_text(SLOW)
    model = Model(start, directory, "--runners", "2")
    until("both run", lambda: model.server.health()["concurrency"]["max"] == 2)
    pids = {runner["pid"] for runner in model.server.health()["runners"]}
    thread, answers = asked(model.server, {"until": str(tmp_path / "go")})
    until("one runs", lambda: model.server.health()["concurrency"]["current"] == 1)
    model.save(NEW)
    until("the idle one serves", lambda: model.server.predict({}).json.get("output") == "new")
    (tmp_path / "go").touch()
    thread.join(20)
    assert answers[0].json["output"] == "old"
    until("both run", lambda: model.server.health()["concurrency"]["max"] == 2)
    assert pids.isdisjoint(runner["pid"] for runner in model.server.health()["runners"])


def test_many_saves_at_once_are_one_load_and_the_last_one_counts(
    start: Starter, directory: pathlib.Path
) -> None:
    model = Model(start, directory)
    for n in range(200):
        model.save(ECHO.format(word=f"take {n}"))
        model.save("x = 1\n", f"m{n}.py")
    until(
        "the last one is served",
        lambda: model.server.predict({"name": "it"}).json.get("output") == "take 199 it",
    )
    assert model.loads() < 20


def test_a_save_during_setup_restarts_setup(start: Starter, directory: pathlib.Path) -> None:
    model = Model(start, directory)
    model.save(
        NEW
        + "    def setup(self):\n        print('waits for ever', flush=True)\n        import time; time.sleep(1000)\n"
    )
    until("it is being set up", lambda: "waits for ever" in model.server.health()["setup"]["logs"])
    model.saved(NEW)
    assert model.server.predict({}).json["output"] == "new"


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


def test_a_file_that_comes_back_by_a_rename_is_new(start: Starter, directory: pathlib.Path) -> None:
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


def test_a_directory_that_comes_back_is_watched(start: Starter, directory: pathlib.Path) -> None:
    model = Model(start, directory)
    copy = shutil.copytree(directory, directory.with_name("copy"))
    shutil.rmtree(directory)
    until("that is said", lambda: "changes are not seen" in model.server.log())
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
        pytest.skip("this machine lets nobody make namespaces: unshare --map-root-user")
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


def test_files_that_are_no_code_are_not_looked_at(start: Starter, directory: pathlib.Path) -> None:
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
    os.utime(directory / "predict.py")  # which comes after them
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


def test_loads_are_no_crashes_and_leave_nothing(start: Starter, directory: pathlib.Path) -> None:
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
    until(f"as many descriptors and watches as before, {before}", lambda: held() == before)
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
