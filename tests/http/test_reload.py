"""``--reload``: the server reloads the model when its files change, and no prediction is lost."""

from __future__ import annotations

import pathlib
import signal

import pytest

from http_reload import ECHO, NEW, SLOW, Model, asked, busy, inputs, served_directory
from model_sources import model_source
from servers import Starter
from waiting import until


@pytest.fixture
def directory(tmp_path: pathlib.Path) -> pathlib.Path:
    return served_directory(tmp_path)


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
        assert inputs(model.server)  # of the model that was last loaded
    health = model.server.health()
    assert told in health["setup"]["logs"]
    assert health["setup"]["status"] == "failed"
    refused = model.server.predict({})
    assert refused.status == 503
    assert told in model.server.log()
    model.saved(NEW)
    assert model.server.predict({"times": 2}).json["output"] == "newnew"
    assert model.server.process.poll() is None


def test_a_missing_module_may_be_added_later(start: Starter, directory: pathlib.Path) -> None:
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


def test_a_server_that_ends_does_not_wait_for_a_change(
    start: Starter, directory: pathlib.Path
) -> None:
    model = Model(start, directory)
    model.server.process.send_signal(signal.SIGINT)
    assert model.server.process.wait(30) == 0
    assert "msg=stopped" in model.server.log() and "the next change" not in model.server.log()


def test_queued_predictions_are_checked_against_the_new_model(
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


def test_flags_override_cog_yaml_at_each_load(start: Starter, directory: pathlib.Path) -> None:
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
