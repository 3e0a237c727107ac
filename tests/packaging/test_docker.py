"""The example image as far as it can be tested without a container engine: its steps, its probe,
and a linter.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys

import pytest
from dockerfile import DOCKERFILE, STAGES, instruction
from packages import ROOT, Environment

from waiting import until


def test_hadolint_finds_nothing():
    hadolint = pathlib.Path(sys.executable).with_name("hadolint")
    done = subprocess.run(
        [hadolint, "--failure-threshold", "style", DOCKERFILE],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_follows_the_practices_of_production_images():
    assert len(STAGES) == 2, "built in one stage, run in another"
    for stage in STAGES:
        image = stage[0].split()[1]
        assert ":" in image and not image.endswith(":latest"), "the base image has a version"
    assert "COPY . ." not in STAGES[-1], "the sources stay in the first stage"
    assert int(instruction("USER")) > 0
    assert STAGES[-1].index(f"USER {instruction('USER')}") < next(
        i for i, line in enumerate(STAGES[-1]) if line.startswith("ENTRYPOINT")
    )
    assert instruction("STOPSIGNAL") == "SIGTERM"
    assert json.loads(instruction("ENTRYPOINT")) == ["coggo-server"], (
        "no shell between the engine's signal and the server"
    )
    assert instruction("EXPOSE") == "5000"
    ignored = (ROOT / "deploy/docker/Dockerfile.dockerignore").read_text().split()
    assert {".git", ".venv*", "dist"} <= set(ignored)


def test_each_stage_runs_one_step_of_the_script():
    steps = (ROOT / "deploy/docker/steps").read_text()
    for stage, step in ((0, "wheel"), (1, "install")):
        runs = [line for line in STAGES[stage] if line.startswith("RUN ")]
        assert (
            len(runs) == 1 and re.search(rf"\bsteps {step} ", runs[0]) and f"\n{step}() {{" in steps
        )


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """The result of the build steps, without an image around it."""
    place = tmp_path_factory.mktemp("image")
    shutil.copytree(ROOT / "examples/hello", place / "model")
    environment = Environment(place / "usr", sys._base_executable)
    built = subprocess.run(
        ["sh", "deploy/docker/steps", "wheel", place / "dist"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert built.returncode == 0, built.stderr
    done = environment.run(
        "sh", ROOT / "deploy/docker/steps", "install", place / "dist", place / "model"
    )
    assert done.returncode == 0, done.stderr
    return environment, place


def test_the_built_image_serves_and_its_healthcheck_succeeds(image):
    environment, place = image
    [probe] = re.findall(r"CMD (\[\"python3\".*\])", instruction("HEALTHCHECK"))
    entry, arguments = json.loads(instruction("ENTRYPOINT")), json.loads(instruction("CMD"))
    assert arguments == ["/model"]
    env = {
        "PATH": f"{environment.directory}/bin:/usr/bin:/bin",
        "LOG_FORMAT": "json",
        "COG_HOST": "127.0.0.1",
        "PORT": "0",
    }
    log = (place / "log").open("w+")
    process = subprocess.Popen(
        [*entry, str(place / "model")], stderr=log, env=env, cwd=place / "model"
    )
    try:

        def address():
            lines = [json.loads(line) for line in (place / "log").read_text().splitlines()]
            return next((line["address"] for line in lines if line["msg"] == "listening"), None)

        env["PORT"] = until("it listens", address).rpartition(":")[2]

        def healthy():
            return (
                subprocess.run(
                    json.loads(probe), env=env, capture_output=True, timeout=20
                ).returncode
                == 0
            )

        until("it is healthy", healthy)
        process.send_signal(getattr(signal, instruction("STOPSIGNAL")))
        assert process.wait(60) == 0
        assert not healthy()
    finally:
        log.close()
        if process.poll() is None:
            process.kill()
            process.wait()
    assert sorted(os.listdir(place / "model")) == [
        "cog.yaml",
        "predict.py",
    ] or "__pycache__" in os.listdir(place / "model")
