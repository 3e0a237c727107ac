"""The wheel in fresh environments, as after `pip install coggo`."""

from __future__ import annotations

import email
import hashlib
import json
import os
import pathlib
import platform
import re
import shlex
import shutil
import signal
import subprocess
import time
import urllib.request
import zipfile

import pytest
from packages import ROOT, Environment, make_wheel

from interpreters import every

#: The oldest and the newest Python of this machine.
PYTHONS = dict([*every().items()][:: max(1, len(every()) - 1)])


@pytest.fixture(scope="module", params=PYTHONS)
def environment(request, tmp_path_factory, wheel):
    made = Environment(tmp_path_factory.mktemp("venv") / "v", PYTHONS[request.param])
    made.pip("install", "--no-index", wheel)
    return made


@pytest.fixture
def model(tmp_path):
    """A copy of an example outside of this checkout."""
    shutil.copytree(ROOT / "examples/hello", tmp_path / "hello")
    return tmp_path / "hello"


def serve(environment, *command):
    """Start a server, run one prediction, and stop it; return the prediction and the health."""
    env = {
        "PATH": f"{environment.directory}/bin:/usr/bin:/bin",
        "HOME": os.environ.get("HOME", "/"),
    }
    process = subprocess.Popen(
        [str(w) for w in command], stderr=subprocess.PIPE, text=True, env=env, cwd="/"
    )
    try:
        lines = ""
        while "model ready" not in lines:
            line = process.stderr.readline()
            assert line, lines
            lines += line
        port = re.search(r"msg=listening address=\S+:(\d+)", lines).group(1)
        body = json.dumps({"input": {"name": "wheel"}}).encode()
        ask = urllib.request.Request(
            f"http://127.0.0.1:{port}/predictions", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(ask, timeout=30) as answer:
            prediction = json.load(answer)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health-check", timeout=30) as answer:
            return prediction, json.load(answer)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        assert process.returncode == 0


def test_the_server_is_on_the_path_and_serves_an_unmodified_model(environment, model):
    prediction, health = serve(
        environment, "coggo-server", "--host", "127.0.0.1", "--port", "0", model
    )
    assert (prediction["status"], prediction["output"]) == ("succeeded", "hello wheel")
    assert (
        environment.run(environment.python, "-V").stdout.split()[1] == health["version"]["python"]
    )


def test_the_server_finds_its_python_without_an_activated_environment(environment, model):
    other = {"PATH": "/usr/bin:/bin"}
    done = environment.run(environment.server, "predict", model, "-i", "name=you", env=other)
    assert (done.returncode, done.stdout) == (0, "hello you\n"), done.stderr


def test_another_interpreter_gets_the_cog_package_and_no_other_module(environment, model, tmp_path):
    site = environment.run(environment.python, "-c", "import cog; print(cog.__file__)").stdout
    (pathlib.Path(site).parents[1] / "only_in_ours.py").write_text("")
    (model / "predict.py").write_text(
        "import importlib.util, sys\ndef predict() -> str:\n    return f'{sys.prefix} {importlib.util.find_spec(\"only_in_ours\")}'\n"
    )
    (model / "cog.yaml").write_text("predict: predict.py:predict\n")
    other = Environment(tmp_path / "other", next(iter(PYTHONS.values())))
    done = environment.run(environment.server, "predict", model, "--python", other.python)
    assert (done.returncode, done.stdout) == (0, f"{other.directory} None\n"), done.stderr


def test_the_command_of_an_image_built_for_cog_starts_the_server(environment, model):
    command = [
        environment.python,
        "-m",
        "cog.server.http",
        "--host",
        "127.0.0.1",
        "--port",
        "0",
        model,
    ]
    prediction, _ = serve(environment, *command)
    assert prediction["output"] == "hello wheel"


def test_python_m_coggo_runs_the_installed_server(environment, model):
    command = [environment.python, "-m", "coggo", "--host", "127.0.0.1", "--port", "0", model]
    prediction, health = serve(environment, *command)
    assert prediction["output"] == "hello wheel"
    assert (
        environment.run(environment.python, "-V").stdout.split()[1] == health["version"]["python"]
    )
    done = environment.run(environment.python, "-m", "coggo", "predict", model, "-i", "name=you")
    assert (done.returncode, done.stdout) == (0, "hello you\n"), done.stderr
    done = environment.run(environment.python, "-m", "coggo", "predict", model)
    assert (done.returncode, "-i name: Field required" in done.stderr) == (2, True), done.stderr


def test_the_schema_is_printed_by_both_commands(environment, model):
    by_server = environment.run("coggo-server", "schema", model)
    by_module = environment.run(environment.python, "-m", "cog.command.openapi_schema", cwd=model)
    assert json.loads(by_server.stdout) == json.loads(by_module.stdout)
    assert "name" in json.loads(by_server.stdout)["components"]["schemas"]["Input"]["properties"]


def test_pip_shows_the_files_and_the_version(environment):
    shown = environment.pip("show", "-f", "coggo").stdout
    assert "Version: 0." in shown and "Summary: A production runtime" in shown
    assert "bin/coggo-server" in shown and "cog/internal/file_runner.py" in shown
    assert environment.run("coggo-server", "--version").stdout.startswith("coggo-server 0.")
    environment.pip("check")


def test_cog_in_the_same_environment_is_an_error_with_the_remedy(environment, model):
    site = pathlib.Path(
        environment.run(environment.python, "-c", "import cog; print(cog.__file__)").stdout
    ).parents[1]
    cog = site / "cog-0.16.12.dist-info"
    cog.mkdir()
    try:
        for command in ("predict", "check", "schema", "serve"):
            done = environment.run("coggo-server", command, model)
            assert done.returncode == 1 and "cog-0.16.12 is installed" in done.stderr, done.stderr
            assert "pip uninstall cog" in done.stderr
    finally:
        cog.rmdir()


def test_the_commands_of_the_readme_install_the_wheel(tmp_path, wheel, model):
    [block] = re.findall(r"```sh\n(make dist.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    make, install, start = (shlex.split(line, comments=True) for line in block.splitlines())
    planned = subprocess.run(
        [*make, "-n"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    ).stdout
    assert re.search(r"scripts/dist --go \S+$", planned, re.MULTILINE), (
        "the command would build all wheels, into dist"
    )
    (tmp_path / "dist").mkdir()
    shutil.copy(wheel, tmp_path / "dist")
    environment = Environment(tmp_path / "v", list(PYTHONS.values())[-1])
    typed = " ".join(install).replace("x86_64", platform.machine())
    done = environment.run("sh", "-c", typed, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert start == ["coggo-server", "path/to/model"]
    prediction, _ = serve(environment, start[0], "--host", "127.0.0.1", "--port", "0", model)
    assert prediction["output"] == "hello wheel"


def test_uninstalling_leaves_nothing(tmp_path, wheel):
    environment = Environment(tmp_path / "v", list(PYTHONS.values())[-1])
    environment.pip("install", "--no-index", wheel)
    assert environment.files() > environment.before
    environment.pip("uninstall", "-y", "coggo")
    assert environment.files() == environment.before


def test_the_same_sources_make_the_same_bytes(wheel, tmp_path):
    time.sleep(2.1)  # a current timestamp would differ in a zip file
    again = make_wheel(tmp_path)
    assert (
        hashlib.sha256(again.read_bytes()).digest() == hashlib.sha256(wheel.read_bytes()).digest()
    )


def built(request):
    """The wheels that `make dist` built, or else the one of this platform."""
    if directory := os.environ.get("WHEELS"):
        found = sorted(pathlib.Path(directory).glob("*.whl"))
        assert len(found) == 4
        return found
    return [request.getfixturevalue("wheel")]


def test_every_wheel_is_complete(request):
    for path in built(request):
        with zipfile.ZipFile(path) as archive:
            assert archive.testzip() is None
            names = archive.namelist()
            info = next(n for n in names if n.endswith("/METADATA"))
            about = email.message_from_string(archive.read(info).decode())
            tags = email.message_from_string(
                archive.read(info.replace("METADATA", "WHEEL")).decode()
            ).get_all("Tag")
            server = next(n for n in names if n.endswith(".data/scripts/coggo-server"))
            head = archive.read(server)[:4]
            mode = archive.getinfo(server).external_attr >> 16
            recorded = archive.read(info.replace("METADATA", "RECORD")).decode().splitlines()
        assert (about["Name"], about["Requires-Python"]) == ("coggo", ">=3.9")
        assert about["Requires-Dist"] is None
        assert (
            path.name
            == f"coggo-{about['Version']}-py3-none-{'.'.join(t.split('-')[2] for t in tags)}.whl"
        )
        assert (
            head == (b"\xcf\xfa\xed\xfe" if "macosx" in path.name else b"\x7fELF")
            and mode == 0o100755
        )
        assert {line.split(",")[0] for line in recorded} == set(names)
        assert {
            "coggo.py",
            "cog/__init__.py",
            "cog/py.typed",
            "cog/server/http.py",
            "cog/internal/file_runner.py",
        } <= set(names)
        assert any("licenses/github.com/alecthomas/kong/" in n for n in names)
        assert not any("__pycache__" in n or n.startswith("tests") for n in names)


def test_the_server_in_the_wheel_needs_no_library(environment):
    described = subprocess.run(
        ["ldd", environment.server], capture_output=True, text=True, timeout=20
    )
    assert "not a dynamic executable" in described.stdout + described.stderr


def test_the_server_is_compiled_for_macos(tmp_path):
    build = [
        os.environ.get("GO", "go"),
        "build",
        # Nobody runs it: without optimization the compiler takes a third less time.
        "-gcflags=all=-N -l -dwarf=false",
        "-ldflags=-s -w",
        "-o",
        tmp_path / "coggo-server",
        "./cmd/coggo-server",
    ]
    env = {**os.environ, "GOOS": "darwin", "GOARCH": "arm64", "CGO_ENABLED": "0"}
    subprocess.run(build, cwd=ROOT, env=env, check=True, timeout=900)
    assert (tmp_path / "coggo-server").read_bytes()[:4] == b"\xcf\xfa\xed\xfe"
