"""The commands of an image that was built for Cog: `python3 -m cog.server.http` and `python3 -m
cog.command.openapi_schema`.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess

import pytest

from model_sources import model_source
from servers import BINARY, ROOT, real_python
from waiting import until

MODEL = model_source("http/cog_commands")


@pytest.fixture
def model(tmp_path):
    """The directory of a model as Cog builds it into an image."""
    place = tmp_path / "src"
    place.mkdir()
    (place / "predict.py").write_text(MODEL)
    (place / "cog.yaml").write_text(
        'build:\n  python_version: "3.11"\npredict: "predict.py:Predictor"\ntrain: predict.py:train\n'
    )
    return place


def environment(**more):
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT / "python"),
        "PYTHONDONTWRITEBYTECODE": "1",
        **more,
    }


def python(place, *words, **env):
    """Run a module of the package in the directory of a model."""
    return subprocess.run(
        [real_python(), "-W", "error", "-m", *words],
        cwd=place,
        env=environment(**env),
        capture_output=True,
        text=True,
        timeout=30,
    )


def schema(place, *words, **env):
    return python(place, "cog.command.openapi_schema", *words, **env)


# -- the server


@pytest.fixture
def serve(start, model):
    """Starts the server as an image does."""

    def go(*flags, **env):
        command = [real_python(), "-m", "cog.server.http", "--host", "127.0.0.1", *flags]
        return start(model_dir=model, command=command, env=environment(PORT="0", **env))

    return go


def test_the_server_accepts_the_flags_of_cog(serve, store):
    server = serve(
        "--threads",
        "4",
        "--upload-url",
        store.url,
        "--await-explicit-shutdown",
        "true",
        "--x-mode",
        "train",
    )
    body = server.predict({"name": "a"}).json
    assert body["output"].startswith(store.url), body
    assert [upload.body for upload in store.got] == [b"a"]
    assert server.ask("POST", "/trainings", {"input": {"n": 2}}).json["output"] == "nn"
    server.process.send_signal(signal.SIGTERM)
    until("the signal is ignored", lambda: "SIGTERM ignored" in server.log())
    status = pathlib.Path(f"/proc/{server.runner()}/status").read_text()
    ignored = int(re.search(r"SigIgn:\s*(\w+)", status).group(1), 16)
    assert not ignored & 1 << signal.SIGTERM - 1, "the model's processes would ignore it too"
    assert server.health()["status"] == "READY"
    assert server.ask("POST", "/shutdown", {}).status == 200
    assert server.process.wait(20) == 0


@pytest.mark.parametrize(
    "flags", [[], ["--await-explicit-shutdown", "false"], ["--await-explicit-shutdown=false"]]
)
def test_without_await_explicit_shutdown_a_signal_ends_the_server(serve, flags):
    server = serve("--x-mode=predict", *flags)
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(20) == 0


@pytest.mark.parametrize(
    "flags", [["--await-explicit-shutdown", "True"], ["--await-explicit-shutdown"]]
)
def test_await_explicit_shutdown_has_other_spellings(serve, flags):
    server = serve(*flags)
    server.process.send_signal(signal.SIGTERM)
    until("the signal is ignored", lambda: "SIGTERM ignored" in server.log())
    assert server.health()["status"] == "READY"


def test_the_model_runs_in_the_interpreter_of_the_command(serve):
    assert (
        serve().health()["version"]["python"]
        in subprocess.run([real_python(), "-V"], capture_output=True, text=True).stdout
    )


@pytest.mark.parametrize("flag", ["--version", "-v"])
def test_version_is_printed(model, flag):
    shown = python(model, "cog.server.http", flag)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.startswith("coggo-server ")


def test_an_unknown_flag_is_refused(model):
    shown = python(model, "cog.server.http", "--nonsense")
    assert shown.returncode != 0
    assert "--nonsense" in shown.stderr


@pytest.mark.parametrize("module", ["cog.server.http", "cog.command.openapi_schema"])
def test_a_missing_server_is_named(model, tmp_path, module):
    shutil.copytree(ROOT / "python" / "cog", tmp_path / "alone" / "cog")
    alone = {"PYTHONPATH": str(tmp_path / "alone"), "PATH": "/nonexistent"}
    shown = python(model, module, **alone)
    assert shown.returncode == 1
    assert "coggo-server is not installed" in shown.stderr
    assert schema(model, "predict.py:Predictor", **alone).returncode == 0, (
        "the schema of a reference does not need the server"
    )


# -- the schema


def test_the_schema_of_the_model_in_cog_yaml(model):
    shown = schema(model)
    assert shown.returncode == 0, shown.stderr
    schemas = json.loads(shown.stdout)["components"]["schemas"]
    assert schemas["Input"]["properties"]["name"]["description"] == "né"
    assert schemas["TrainingInput"]["properties"]["n"]["minimum"] == 1
    assert shown.stderr == "loading\n"


def test_the_schema_of_a_reference(model):
    (model / "other.py").write_text(
        "def run(x: int) -> str: ...\ndef learn(y: float) -> str: ...\n"
    )
    (model / "cog.yaml").unlink()
    schemas = json.loads(schema(model, "other.py:run").stdout)["components"]["schemas"]
    assert list(schemas["Input"]["properties"]) == ["x"]
    assert "TrainingInput" not in schemas
    schemas = json.loads(schema(model, "other.py:run", "other.py:learn").stdout)["components"][
        "schemas"
    ]
    assert list(schemas["TrainingInput"]["properties"]) == ["y"]


def test_the_variables_of_cog_come_before_cog_yaml(model):
    (model / "other.py").write_text("def run(x: int) -> str: ...\n")
    (model / "more.py").write_text("def learn(y: float) -> str: ...\n")
    shown = schema(model, COG_PREDICT_TYPE_STUB="other.py:run", COG_TRAIN_TYPE_STUB="more.py:learn")
    schemas = json.loads(shown.stdout)["components"]["schemas"]
    assert list(schemas["Input"]["properties"]) == ["x"]
    assert list(schemas["TrainingInput"]["properties"]) == ["y"]


NOISE = """
import os, subprocess, sys
print("python")
os.write(1, b"descriptor\\n")
subprocess.run(["echo", "child"])
sys.__stdout__.write("underscores\\n")
import atexit
atexit.register(print, "at the end")
def predict(s: str) -> str: ...
"""


def test_prints_of_the_model_do_not_get_into_the_document(model):
    (model / "predict.py").write_text(NOISE)
    shown = schema(model, "predict.py:predict")
    assert json.loads(shown.stdout)["info"]["title"] == "Cog"
    for word in ("python", "descriptor", "child", "underscores", "at the end"):
        assert word in shown.stderr


BAD = {
    "a bad input": (
        "class Predictor:\n    def predict(self, a: bytes, b) -> str: ...\n",
        ["predict.py:2: a: ", "predict.py:2: b: "],
    ),
    "an error at import": (
        "raise RuntimeError('no weights')\n",
        ["predict.py", "RuntimeError: no weights"],
    ),
    "a syntax error": (
        "class Predictor:\n    def predict(self -> str: ...\n",
        ["predict.py", "line 2", "SyntaxError"],
    ),
    "an exit at import": ("import sys\nsys.exit(0)\n", ["predict.py", "sys.exit(0)"]),
    "no class": ("x = 1\n", ["predict.py", "'Predictor'"]),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_model_has_no_schema(model, name):
    source, words = BAD[name]
    (model / "predict.py").write_text(source)
    (model / "cog.yaml").write_text("predict: predict.py:Predictor\n")
    shown = schema(model)
    assert (shown.returncode, shown.stdout) == (1, "")
    for word in words:
        assert word in shown.stderr


def test_a_directory_without_a_model_is_an_error(tmp_path):
    shown = schema(tmp_path)
    assert (shown.returncode, shown.stdout) == (2, "")
    assert "cog.yaml" in shown.stderr


def test_wrong_arguments_show_the_usage(tmp_path):
    assert schema(tmp_path, "--help").returncode == 0
    assert schema(tmp_path, "--nonsense").returncode == 2
    assert "FILE:NAME" in schema(tmp_path, "a", "b", "c").stderr


def test_the_server_prints_the_same_schema(model):
    def ask(place: pathlib.Path):
        return subprocess.run(
            [BINARY, "schema", "--python", real_python(), place],
            capture_output=True,
            text=True,
            timeout=30,
        )

    assert ask(model).stdout == schema(model).stdout
    (model / "predict.py").write_text(
        "class Predictor:\n    def predict(self, a: bytes) -> str: ...\n"
    )
    (model / "cog.yaml").write_text("predict: predict.py:Predictor\n")
    shown = ask(model)
    assert (shown.returncode, shown.stdout) == (1, "")
    assert "predict.py:2: a: " in shown.stderr
