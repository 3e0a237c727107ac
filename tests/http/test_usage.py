"""The command line explains itself: help, misspelt words, and one exit code for every usage
error.
"""

from __future__ import annotations

import os
import pathlib
import re
import subprocess

import pytest

from servers import BINARY, ROOT, real_python

HELLO = ROOT / "examples/hello"
COMMANDS = re.findall(
    r'^\t(\w+) +\w+ +`cmd:"', (ROOT / "cmd/coggo-server/commands.go").read_text(), re.MULTILINE
)


def asked(*words, cwd=None, **env):
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PORT", "COG_", "COGGO_"))}
    return subprocess.run(
        [str(word) for word in (BINARY, *words)],
        capture_output=True,
        text=True,
        timeout=20,
        cwd=cwd,
        env={**clean, **env},
    )


@pytest.mark.parametrize("command", [name.lower() for name in COMMANDS])
def test_every_command_shows_its_help_in_two_ways(command):
    by_flag, by_word = asked(command, "--help"), asked("help", command)
    assert by_flag.returncode == by_word.returncode == 0
    assert by_flag.stdout == by_word.stdout and by_flag.stdout.startswith(
        f"Usage: coggo-server {command} "
    )
    assert f"\n  {command} " in asked("help").stdout


def test_help_without_a_command_is_the_general_help():
    assert {"Serve", "Predict", "Check", "Schema", "Help"} <= set(COMMANDS)
    assert asked("help").stdout == asked("--help").stdout and "--port" in asked("help").stdout


@pytest.mark.parametrize("command", ["serve", "predict"])
def test_help_shows_every_default(command):
    shown = asked(command, "--help").stdout
    for flag in re.split(r"^ +(?=(?:-\w, )?--)", shown, flags=re.MULTILINE)[1:]:
        entry = " ".join(flag.split("\n\n")[0].split())
        has_value = re.match(r"(?:-\w, )?--[\w-]+=(\S+)", entry)
        if has_value and not re.match(r'"|[0-9]', has_value.group(1)):
            assert "Default: " in entry or "An input." in entry, entry
    if command == "serve":
        words = " ".join(shown.split())
        for said in (
            "--runners=N Runner processes, each with the whole model. Default: 1.",
            '--host="0.0.0.0"',
            "--busy-poll=500us",
        ):
            assert said in words


def test_the_version_has_one_home_which_the_readme_repeats():
    found = re.search(
        r'^__version__ = "(.+)"', (ROOT / "python/cog/__init__.py").read_text(), re.MULTILINE
    )
    assert found and asked("--version").stdout == f"coggo-server {found[1]}\n"
    sources = [*ROOT.glob("cmd/**/*.go"), *ROOT.glob("internal/**/*.go")]
    assert [path for path in sources if f'"{found[1]}"' in path.read_text()] == []
    assert f"**Status**: {found[1]}," in (ROOT / "README.md").read_text()


WRONG = {
    "an unknown flag": (
        ["--prot", "3", HELLO],
        'unknown flag --prot, did you mean "--port"? See coggo-server --help',
    ),
    "an unknown flag of a command": (
        ["predict", "--jsn", HELLO],
        'unknown flag --jsn, did you mean "--json"?',
    ),
    "an unknown command": (
        ["chek", HELLO],
        'chek is neither a command nor a model directory, did you mean "check"? See ',
    ),
    "an unknown command alone": (
        ["predit"],
        'predit is neither a command nor a model directory, did you mean "predict"?',
    ),
    "a word like nothing": (
        ["nosuchmodel"],
        "nosuchmodel is neither a command nor a model directory;",
    ),
    "help for an unknown command": (
        ["help", "shcema"],
        'there is no command shcema, did you mean "schema"?',
    ),
    "no such directory": (["--port", "0", "nosuch"], "/nosuch: no such file or directory"),
    "no such directory of a command": (["check", "nosuch"], "/nosuch: no such file or directory"),
    "a file as the directory": (["schema", HELLO / "predict.py"], "not a directory"),
    "no cog.yaml": (["serve", ROOT / "docs"], "no predictor: write"),
    "no cog.yaml for predict": (["predict", ROOT / "docs"], "no predictor: write"),
    "a word too many": (["predict", HELLO, "more"], "unexpected argument more"),
    "a missing value": ([HELLO, "--port"], "--port: the value is missing"),
    "a flag for a value": ([HELLO, "--port", "--host"], "--port: expected"),
    "a port out of range": (["--port", "65536", HELLO], 'port "65536" (from --port): '),
    "a negative port": (["--port=-1", HELLO], 'port "-1" (from --port): '),
    "a port that is no number": (
        ["--port", "http", HELLO],
        "--port and PORT must be a number from 0 to 65535",
    ),
    "a bad number": (["--runners", "x", HELLO], "--runners: "),
    "a bad time": (["--retain-for", "soon", HELLO], "--retain-for: "),
    "a bad choice": (["--recover", "x", HELLO], '--recover must be one of "fail","rerun"'),
    "a bad secret": (["--port", "0", "--webhook-secret", "x", HELLO], "whsec_"),
    "devices that do not fit": (
        ["--port", "0", "--runner-devices", "1;2", HELLO],
        "--runner-devices",
    ),
    "a user who is not there": (["--runner-user", "nosuchuser", HELLO], "--runner-user nosuchuser"),
    "an input that does not fit": (["predict", HELLO], "-i name: Field required"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_command_line_exits_with_2_and_the_reason(kind, tmp_path):
    words, text = WRONG[kind]
    done = asked(*words, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert text in done.stderr and done.stderr.startswith("coggo-server: ")


@pytest.mark.parametrize("variable", ["PORT", "COG_PORT"])
def test_a_bad_port_names_its_variable(variable):
    done = asked(HELLO, **{variable: "99999"})
    assert (done.returncode, f'port "99999" (from {variable}): ' in done.stderr) == (2, True), (
        done.stderr
    )


def test_a_directory_named_like_a_command_can_be_a_model(tmp_path):
    (tmp_path / "chek").mkdir()
    (tmp_path / "help").mkdir()
    for word in ("chek", "./help"):
        assert "no predictor: write" in asked(word, cwd=tmp_path).stderr


def by_module(*words, cwd=None, python=None, **env):
    """Run the command as `python -m coggo` of this checkout."""
    return subprocess.run(
        [python or real_python(), "-W", "error", "-m", "coggo", *[str(word) for word in words]],
        capture_output=True, text=True, timeout=30, cwd=cwd, env={**os.environ, "PYTHONPATH": str(ROOT / "python"), **env},
    )  # fmt: skip


def test_python_m_coggo_runs_the_server(tmp_path):
    for words in (
        ["--version"],
        ["help"],
        ["predict", "--help"],
        ["predict", HELLO, "-i", "name=you"],
        ["chek"],
        [],
    ):
        module, command = by_module(*words, cwd=tmp_path), asked(*words, cwd=tmp_path)
        assert (module.returncode, module.stdout) == (command.returncode, command.stdout), (
            module.stderr
        )


def test_the_module_runs_the_model_in_its_own_interpreter_unless_another_is_named(tmp_path):
    (tmp_path / "predict.py").write_text(
        "import sys\ndef predict() -> str:\n    return sys.prefix\n"
    )
    (tmp_path / "cog.yaml").write_text("predict: predict.py:predict\n")
    subprocess.run(
        [real_python(), "-m", "venv", "--without-pip", tmp_path / "v"], check=True, timeout=60
    )
    here, other = tmp_path / "v" / "bin" / "python", real_python()
    prefix = str(pathlib.Path(other).parents[1])
    for flags, env, expected in (
        ([], {}, str(tmp_path / "v")),
        ([], {"COGGO_PYTHON": ""}, str(tmp_path / "v")),
        (["--python", other], {}, prefix),
        ([], {"COGGO_PYTHON": other}, prefix),
    ):
        done = by_module("predict", tmp_path, *flags, python=here, **env)
        assert (done.returncode, done.stdout) == (0, f"{expected}\n"), done.stderr
