"""``coggo-server init`` writes a first model, which works unchanged."""

from __future__ import annotations

import json
import os
import pathlib
import shlex
import subprocess

import pytest

from interpreters import interpreter
from servers import BINARY, Starter


def init(*words: str, cwd: pathlib.Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(BINARY), "init", *words], cwd=cwd, capture_output=True, text=True, timeout=30
    )


def contents(directory: pathlib.Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in directory.iterdir()}


@pytest.mark.parametrize("minor", [9, 13])
def test_the_generated_model_passes_check_and_runs(tmp_path: pathlib.Path, minor: int) -> None:
    python = interpreter(minor)
    assert python, f"there is no Python 3.{minor}"
    made = init("my model", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert sorted(contents(tmp_path / "my model")) == [
        ".gitignore",
        "cog.yaml",
        "predict.py",
        "requirements.txt",
    ]
    env = {**os.environ, "COGGO_PYTHON": python}
    check = next(line for line in made.stdout.splitlines() if " check " in line)
    checked = subprocess.run(
        shlex.split(check), cwd=tmp_path, env=env, capture_output=True, text=True, timeout=50
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "warning" not in checked.stdout
    words = [
        str(BINARY),
        "predict",
        "-i",
        "text=hi",
        "-i",
        "times=2",
        "-i",
        "style=loud",
        "my model",
    ]
    ran = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=50)
    assert ran.stdout == "hi! hi!\n", ran.stderr


def test_the_suggested_command_serves_the_model(tmp_path: pathlib.Path, start: Starter) -> None:
    made = init("mine", cwd=tmp_path)
    words = shlex.split(next(line for line in made.stdout.splitlines() if " --reload " in line))
    server = start("", model_dir=tmp_path, command=[*words, "--host", "127.0.0.1", "--port", "0"])
    assert server.predict({"text": "hi"}).json["output"] == "hi."
    example = json.loads(server.get("/openapi.json").body)["components"]["schemas"]["Input"]
    assert example["required"] == ["text"]


def test_nothing_is_overwritten(tmp_path: pathlib.Path) -> None:
    (tmp_path / "predict.py").write_text("mine")
    (tmp_path / ".gitignore").write_text("mine too")
    refused = init(cwd=tmp_path)
    assert refused.returncode == 2
    assert (
        refused.stderr
        == "coggo-server: init overwrites nothing: there is already predict.py; name another directory\n"
    )
    assert contents(tmp_path) == {"predict.py": "mine", ".gitignore": "mine too"}


def test_an_existing_gitignore_is_kept(tmp_path: pathlib.Path) -> None:
    (tmp_path / ".gitignore").write_text("mine too")
    made = init(cwd=tmp_path)
    assert made.returncode == 0
    assert "left .gitignore as it is" in made.stdout
    assert contents(tmp_path)[".gitignore"] == "mine too"
    assert "class Predictor" in contents(tmp_path)["predict.py"]


def test_a_directory_that_cannot_be_created_is_named(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("")
    failed = init("file/model", cwd=tmp_path)
    assert failed.returncode == 1
    assert "file" in failed.stderr
