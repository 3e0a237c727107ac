"""The server and every command read cog.yaml alike. Keys that do not describe the model are ignored
or cause a warning.
"""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from servers import BINARY, ROOT, real_python

MODEL = """
from cog import BasePredictor

class Predictor(BasePredictor):
    async def predict(self, name: str = "x") -> str:
        return "hello " + name

def learn(n: int = 1) -> str:
    return "n" * n
"""
PREDICT = "predict: predict.py:Predictor\n"
LEARN = "train: predict.py:learn\n"

#: The file, the concurrency, and whether the model has trainings.
WELL = {
    "plain": (PREDICT, 1, False),
    "single quotes and a comment": ("predict: 'predict.py:Predictor'  # the model\n", 1, False),
    "a quoted key": ('"predict": "predict.py:Predictor"\n', 1, False),
    "spaces": ("predict  :   predict.py:Predictor   \n", 1, False),
    "run": ("run: predict.py:Predictor\n", 1, False),
    "run, and a run under build": ("build:\n  run:\n    - echo predict:\n  predict: no.py:No\nrun: predict.py:Predictor\n", 1, False),
    "folded": ("predict: >-\n  predict.py:Predictor\n", 1, False),
    "folded with its line break": ("predict: >\n  predict.py:Predictor\nimage: x\n", 1, False),
    "literal": ("predict: |\n  predict.py:Predictor\n", 1, False),
    "on the next line": ("predict:\n  predict.py:Predictor\n", 1, False),
    "an anchor": ("predict: &model predict.py:Predictor\n", 1, False),
    "an anchor in another member": ('x-model: &model "predict.py:Predictor"\npredict: *model\n', 1, False),
    "an anchor under build": ("build:\n  run:\n    - &model predict.py:Predictor\npredict: *model\n", 1, False),
    "a tag": ("predict: !!str predict.py:Predictor\n", 1, False),
    "a byte order mark": ("\ufeff" + PREDICT, 1, False),
    "a byte order mark and a comment": ("\ufeff# Configuration for Cog\n" + PREDICT + LEARN, 1, True),
    "lines of Windows": ((PREDICT + LEARN).replace("\n", "\r\n"), 1, True),
    "marks of a document": ("---\n" + PREDICT + "...\n", 1, False),
    "JSON": ('{"predict": "predict.py:Predictor", "concurrency": {"max": 2}}', 2, False),
    "no line break at the end": (PREDICT + LEARN.rstrip(), 1, True),
    "train": (PREDICT + LEARN, 1, True),
    "train before predict, folded": ("train: >-\n  predict.py:learn\n" + PREDICT, 1, True),
    "an empty train": (PREDICT + "train:\n", 1, False),
    "an empty train before predict": ("train:\n" + PREDICT, 1, False),
    "train: null": (PREDICT + "train: null\n", 1, False),
    "train: ~": (PREDICT + "train: ~\n", 1, False),
    "train of a comment": (PREDICT + "train: # later\n", 1, False),
    "train of a comment, then more": ("train: # later\n  # or never\nimage: x\n" + PREDICT, 1, False),
    "train: ''": (PREDICT + "train: ''\n", 1, False),
    "concurrency": (PREDICT + "concurrency:\n  max: 3\n", 3, False),
    "concurrency with an anchor": ("x-n: &n 4\n" + PREDICT + "concurrency: {max: *n, default_target: 2}\n", 4, False),
    "concurrency as text": (PREDICT + "concurrency: {max: '5'}\n", 5, False),
    "an empty concurrency": (PREDICT + "concurrency:\n", 1, False),
    "an empty max": (PREDICT + "concurrency:\n  max:\n", 1, False),
    "a key twice under build": ("build:\n  gpu: true\n  python_version: '3.11'\n  gpu: false\n" + PREDICT, 1, False),
    "a key twice at the top": ("image: a\n" + PREDICT + "image: b\n", 1, False),
    "predict twice: the last one counts": ("predict: no.py:No\n" + PREDICT, 1, False),
    "all that Cog knows": (
        "build: {gpu: true}\nimage: r8.im/a/b\nenvironment: [A=b]\nweights: [{source: 'hf://a/b'}]\n" + PREDICT, 1, False,
    ),
}  # fmt: skip

#: The file, the concurrency, and the warnings.
ODD = {
    "concurrency is a number": (PREDICT + "concurrency: 32\n", 1, "concurrency is 32 and not an object"),
    "concurrency is a list": (PREDICT + "concurrency: [4]\n", 1, "concurrency is a list and not an object"),
    "max is a word": (PREDICT + "concurrency: {max: many}\n", 1, "concurrency.max is many"),
    "max is 0": (PREDICT + "concurrency: {max: 0}\n", 1, "concurrency.max is 0"),
    "max is an object": (PREDICT + "concurrency: {max: {a: 1}}\n", 1, "concurrency.max is an object"),
    "an unknown member of concurrency": (PREDICT + "concurrency: {max: 2, min: 1}\n", 2, "concurrency.min is not known"),
    "an unknown member": (PREDICT + "predictor: predict.py:Other\n", 1, "predictor is not known"),
    "train is an object": (PREDICT + "train:\n  command: predict.py:learn\n", 1, "train is an object and not FILE:NAME"),
    "train is a list": (PREDICT + "train: [predict.py:learn]\n", 1, "train is a list and not FILE:NAME"),
    "train is a number": (PREDICT + "train: 1\n", 1, "train is 1 and not FILE:NAME"),
    "build is not YAML": ("build:\n  run: [pip install x\n" + PREDICT, 1, "only predict, run, train and concurrency are read"),
    "an unknown alias": ("build:\n  run:\n  - *nope\n" + PREDICT, 1, "only predict, run, train and concurrency are read"),
    "a tab": (PREDICT + "concurrency: {max: 2}\nbuild:\n\tgpu: true\n", 2, "only predict, run, train and concurrency are read"),
}  # fmt: skip

#: The file, and the words of the refusal.
REFUSED = {
    "nothing": ("", ["no predictor"]),
    "a comment": ("# predict: predict.py:Predictor\n", ["no predictor"]),
    "no predict": ("image: x\n", ["no predictor"]),
    "an empty predict": ("predict:\n", ["no predictor"]),
    "predict is a list": (
        "predict: [predict.py:Predictor]\n",
        ["no predictor", "predict is a list and not FILE:NAME"],
    ),
    "another spelling": (
        "Predict: predict.py:Predictor\n",
        ["no predictor", "Predict is not known"],
    ),
    "no YAML": ('predict: "predict.py:Predictor\n', ["cog.yaml", "[1:"]),
    "another kind of text": ("hello", ["no predictor", "cog.yaml"]),
}


@pytest.fixture
def model(tmp_path):
    """Makes the directory of a model with a given cog.yaml."""

    def make(text):
        place = tmp_path / "src"
        place.mkdir()
        (place / "predict.py").write_text(MODEL)
        (place / "cog.yaml").write_bytes(text.encode())
        return place

    return make


def command(place, *words):
    """Run a command on the model, in its directory."""
    env = {**os.environ, "PYTHONPATH": str(ROOT / "python"), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(words, cwd=place, env=env, capture_output=True, text=True, timeout=30)


def schema(place):
    return command(place, real_python(), "-m", "cog.command.openapi_schema")


def check(place, *flags):
    return command(place, BINARY, "check", "--python", real_python(), *flags)


def assert_is_served(server, at_once, trains):
    assert server.predict({"name": "you"}).json["output"] == "hello you"
    assert server.health()["concurrency"]["max"] == at_once
    assert server.ask("POST", "/trainings", {"input": {"n": 2}}).status == (200 if trains else 404)


@pytest.mark.parametrize("name", WELL)
def test_a_valid_file_is_read_by_the_server_and_by_the_command(start, model, name):
    text, at_once, trains = WELL[name]
    place = model(text)
    server = start(model_dir=place)
    assert "level=WARN" not in server.log()
    assert_is_served(server, at_once, trains)
    shown = schema(place)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert ("TrainingInput" in json.loads(shown.stdout)["components"]["schemas"]) == trains


@pytest.mark.parametrize("name", ODD)
def test_odd_settings_are_a_warning_of_the_server_and_of_the_commands(start, model, name):
    text, at_once, said = ODD[name]
    place = model(text)
    server = start(model_dir=place)
    assert_is_served(server, at_once, trains=False)
    assert "level=WARN" in server.log() and said in server.log()
    shown = schema(place)
    assert shown.returncode == 0 and said in shown.stderr and "cog.yaml: " in shown.stderr
    assert list(json.loads(shown.stdout)["components"]["schemas"]["Input"]["properties"]) == [
        "name"
    ]
    checked = check(place)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert said in checked.stdout and "warning   cog.yaml: " in checked.stdout
    assert checked.stdout.endswith("result    it works, with warnings\n")
    checked = check(place, "--strict")
    assert (checked.returncode, said in checked.stdout) == (1, True)
    assert checked.stdout.endswith("result    there are warnings, and --strict is given\n")


@pytest.mark.parametrize("name", REFUSED)
def test_a_reference_without_a_predictor_is_refused_by_server_and_command(model, name):
    text, said = REFUSED[name]
    place = model(text)
    for shown in (command(place, BINARY, "--port", "0"), schema(place)):
        assert (shown.returncode, shown.stdout) == (2, "")
        assert all(word in shown.stderr for word in said), shown.stderr


def test_a_predictor_on_the_command_line_does_not_need_the_file(start, model):
    place = model("build:\n  run: [pip install x\n")
    env = {"COG_PREDICT_TYPE_STUB": "predict.py:Predictor"}
    assert_is_served(start(model_dir=place, env=env), 1, trains=False)


def test_predict_on_the_command_line_prints_the_warnings(model):
    shown = command(model(PREDICT + "train: [1]\n"), BINARY, "predict", "--python", real_python())
    assert (shown.returncode, shown.stdout) == (0, "hello x\n")
    assert "cog.yaml: train is a list and not FILE:NAME" in shown.stderr


BOTH = """
class Predictor:
    def predict(self, a: str = "predict") -> str:
        return a

    def run(self, b: str = "run") -> str:
        return b
"""


@pytest.mark.parametrize(("key", "name"), [("predict", "a"), ("run", "b")])
def test_a_class_that_has_both_methods_is_served_by_the_one_that_names_it(start, model, key, name):
    place = model(f"{key}: predict.py:Predictor\n")
    (place / "predict.py").write_text(BOTH)
    server = start(model_dir=place)
    assert server.predict({}).json["output"] == key
    assert list(
        json.loads(schema(place).stdout)["components"]["schemas"]["Input"]["properties"]
    ) == [name]
    assert f"inputs    {name} " in check(place).stdout


def test_a_class_that_has_only_the_other_method_is_served_by_it(start, model):
    place = model("run: predict.py:Predictor\n")
    assert start(model_dir=place).predict({"name": "you"}).json["output"] == "hello you"
    assert schema(place).returncode == 0
