"""The model's process: arguments, its own modules, with and without an event loop."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from http_harness import Server
from interpreters import every
from model_sources import model_source
from servers import BINARY, real_python

KINDS = {"sync": "def", "async": "async def"}
MODELS = {"sync": "http/process_{}", "async": "http/process_{}_async"}


@pytest.fixture(params=KINDS)
def kind(request) -> str:
    found: str = request.param
    return found


def test_the_arguments_of_the_process_are_those_of_a_script(start, kind):
    server = start(model_source(MODELS[kind].format("arguments")), "--predict-timeout", "60")
    assert server.predict({}).json["output"] == [4, 4, 4, 1, True]
    assert server.health()["status"] == "READY"


OWN = """
import {names}
from cog import BasePredictor

class Predictor(BasePredictor):
    {kind} predict(self) -> list:
        return [module.OWN for module in ({names},)]
"""


@pytest.mark.parametrize("below", ["", "deep/"], ids=["in its directory", "below it"])
def test_a_model_finds_its_own_modules_before_the_standard_ones(start, tmp_path, kind, below):
    """Files and packages, next to its file and in the directory of the model."""
    directory = tmp_path / "model"
    place = directory / below
    place.mkdir(parents=True)
    for name in ("test", "code", "profile"):
        (place / f"{name}.py").write_text("OWN = __name__\n")
    for name in ("resource", "platform"):
        (directory / name).mkdir()
        (directory / name / "__init__.py").write_text("OWN = __name__\n")
    names = ["test", "code", "profile", "resource", "platform"]
    (place / "predict.py").write_text(
        OWN.replace("{names}", ", ".join(names)).replace("{kind}", KINDS[kind])
    )
    server = start(model_dir=directory, predict=f"{below}predict.py:Predictor")
    assert server.predict({}).json["output"] == names


@pytest.fixture
def poisoned(tmp_path):
    """A directory with files that can't be imported and have the names of all standard modules, and
    of `cog`.
    """
    directory = tmp_path / "model"
    directory.mkdir()
    for name in {*sys.stdlib_module_names, "cog"}:
        (directory / f"{name}.py").write_text(f"raise ImportError('{name} of the model')\n")
    return directory


def weights(**more: str) -> dict[str, Any]:
    return {"env": {"COG_WEIGHTS": "data:text/plain,weights", **more}}


def works(server: Server) -> None:
    given = {"file": "data:,a", "given": "data:,b", "at": {"x": 2}, "key": "hush"}
    body = server.predict(given).json
    assert body["output"] == ["weights", "a", "b", 2, "hush", [1]], body
    failed = server.predict({"how": "raise"}).json
    assert (
        failed["error"] == "wrong"
        and "in predict" in failed["logs"]
        and "ImportError" not in failed["logs"]
    ), failed
    server.predict({"how": "sleep"}, {"Prefer": "respond-async"}, id="sleeps")
    server.ask("POST", "/predictions/sleeps/cancel")
    assert server.ended("sleeps")["status"] == "canceled"
    assert server.ask("POST", "/trainings", {"input": {"n": 3}}).json["output"] == 3
    assert server.health()["status"] == "READY"


def test_the_imports_of_the_runner_are_safe_from_files_of_the_model(start, poisoned, kind):
    """All modules that it imports late, and those that they import in turn."""
    source = model_source(MODELS[kind].format("busy"))
    server = start(source, model_dir=poisoned, **weights())
    works(server)


def test_the_imports_of_batched_models_are_safe_from_files_of_the_model(start, poisoned, kind):
    source = model_source(MODELS[kind].format("busy"))
    server = start(source, model_dir=poisoned, predict="predict.py:Batched", **weights())
    assert server.predict({"n": 3}).json["output"] == 3


def run(command, directory, *words, python=None):
    """The exit status, the output and the errors of a command for the model in a directory."""
    line = [BINARY, command, "--python", python or real_python()]
    line += ["--predict", "predict.py:Predictor", directory, *words]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


HELLO = """
import asyncio, dataclasses, json, signal, types
from cog import BasePredictor, Input

class Predictor(BasePredictor):
    def predict(self, name: str = Input(default="world")) -> str:
        return json.dumps([name, types.__name__, signal.SIGTERM.name])
"""


@pytest.mark.parametrize("version", every())
def test_files_with_the_names_of_all_standard_modules_stop_no_runner(poisoned, version):
    (poisoned / "predict.py").write_text(HELLO)
    python = every()[version]
    answer = run("predict", poisoned, "-i", "name=you", python=python)
    assert answer == (0, '["you", "types", "SIGTERM"]\n', "")
    code, shown, errors = run("schema", poisoned, python=python)
    assert (code, errors) == (0, "") and '"PredictionRequest"' in shown


#: With -m, Python itself would import the first two before any module of the runner.
NAMESAKES = ["importlib", "types", "json", "signal", "cog"]


@pytest.mark.parametrize("form", ["{}.py", "{}/__init__.py"])
@pytest.mark.parametrize("name", NAMESAKES)
def test_a_model_runs_next_to_a_file_with_the_name_of_a_module_that_the_runner_uses(
    tmp_path, name, form
):
    file = tmp_path / form.format(name)
    file.parent.mkdir(exist_ok=True)
    file.write_text("OWN = 1\n")
    (tmp_path / "predict.py").write_text(HELLO)
    oldest = next(iter(every().values()))
    answer = run("predict", tmp_path, python=oldest)
    assert answer == (0, '["world", "types", "SIGTERM"]\n', "")


WANTED = {
    "an attribute": "import {0}\n{0}.OWN\n",
    "a name": "from {0} import OWN\n",
    "a module": "import {0}.own\n",
}


@pytest.mark.parametrize("way", WANTED)
@pytest.mark.parametrize("name", NAMESAKES)
def test_a_model_that_wants_its_own_file_of_such_a_name_is_told_to_rename_it(tmp_path, name, way):
    (tmp_path / f"{name}.py").write_text("OWN = 1\n")
    (tmp_path / "predict.py").write_text(WANTED[way].format(name) + HELLO)
    code, shown, errors = run("schema", tmp_path)
    owner = (
        "the package of Coggo" if name == "cog" else "Python's own module, which the runner uses,"
    )
    assert (code, shown) == (1, "") and errors.endswith(
        f"import {name} does not find {tmp_path}/{name}.py: {owner} has that name; rename the file\n"
    )


@pytest.mark.parametrize("version", every())
def test_a_model_whose_file_hides_a_standard_module_is_told_to_rename_it(tmp_path, version):
    (tmp_path / "colorsys.py").write_text("OWN = 1\n")
    (tmp_path / "predict.py").write_text("import colorsys\ncolorsys.rgb_to_hsv\n" + HELLO)
    code, shown, errors = run("schema", tmp_path, python=every()[version])
    assert (code, shown) == (1, "")
    text = (
        f"import colorsys finds {tmp_path}/colorsys.py in the place of Python's own module, "
        "which others need too: rename the file\n"
    )
    said = f"(consider renaming '{tmp_path}/colorsys.py'" in errors  # by Python, since 3.13
    assert errors.endswith(text) != said


SETUPS = {
    "run": "return asyncio.run(fetch())",
    "run_until_complete": "return asyncio.get_event_loop().run_until_complete(fetch())",
    "new loop": "loop = asyncio.new_event_loop(); asyncio.set_event_loop(loop); return loop.run_until_complete(fetch())",
    "later": "return asyncio.get_event_loop().create_task(fetch())",
}

LOOPS = model_source("http/process_loops")


@pytest.mark.parametrize("how", SETUPS)
def test_a_synchronous_setup_of_an_async_model_may_run_a_loop(start, how):
    server = start(LOOPS.replace("{how}", SETUPS[how]))
    assert server.predict({}).json["output"] == "weights"
    assert server.predict({}).status == 200


def test_an_async_setup_runs_in_the_loop_of_the_predictions(start):
    server = start(
        """
import asyncio
from cog import BasePredictor
class Predictor(BasePredictor):
    async def setup(self):
        self.loop = asyncio.get_running_loop()
        self.task = asyncio.create_task(asyncio.sleep(0, "of setup"))
    async def predict(self) -> str:
        return await self.task if asyncio.get_running_loop() is self.loop else "another loop"
"""
    )
    assert server.predict({}).json["output"] == "of setup"
