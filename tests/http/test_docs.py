"""The commands in the README and in docs/ print the documented output."""

from __future__ import annotations

import base64
import io
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from typing import NamedTuple

import pytest
from PIL import Image

from servers import BINARY, real_python
from waiting import until

ROOT = pathlib.Path(__file__).resolve().parents[2]
CLIENT = ROOT / "tests" / "v1js" / "node_modules" / "replicate"


class Block(NamedTuple):
    """A console block: its example, the flags and variables of the server, and commands with their
    printed answers.
    """

    document: str
    example: str
    options: list[str]  # flags and NAME=VALUE
    commands: list[tuple[str, str]]


def blocks(document: str) -> list[Block]:
    text = (ROOT / document).read_text()
    found = []
    for example, options, body in re.findall(
        r"<!-- run: (\w+)([^\n]*?) -->\n```console\n(.*?)```", text, re.DOTALL
    ):
        commands = [
            part.partition("\n") for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]
        ]
        shown = [(command, answer.strip()) for command, _, answer in commands]
        found.append(Block(document, example, options.split(), shown))
    return found


def write_files(document: str, directory: pathlib.Path) -> None:
    """Write the files that a document shows."""
    directory.mkdir()
    text = (ROOT / document).read_text()
    for name, content in re.findall(r"<!-- file: (\S+) -->\n```\w+\n(.*?)```", text, re.DOTALL):
        (directory / name).write_text(content)


ALL = [
    block
    for document in ("README.md", "docs/http-api.md", "docs/batching.md")
    for block in blocks(document)
]


@pytest.mark.parametrize("block", ALL, ids=lambda b: f"{b.document}-{b.commands[0][0][:60]}")
def test_the_commands_print_the_documented_answers(start, tmp_path, block):
    if block.example == "mine":
        write_files(block.document, tmp_path / "model")
    else:
        shutil.copytree(ROOT / "examples" / block.example, tmp_path / "model")
    env = dict(option.split("=", 1) for option in block.options if not option.startswith("--"))
    flags = [option for option in block.options if option.startswith("--")]
    server = start("", *flags, model_dir=tmp_path / "model", env=env)
    for command, want in block.commands:
        command = command.replace("localhost:5000", f"127.0.0.1:{server.port}")
        shown = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=20)
        assert shown.returncode == 0, shown.stderr
        pattern = ".*".join(map(re.escape, want.split("…")))
        assert re.fullmatch(pattern, shown.stdout.strip(), re.DOTALL), (
            f"{command}\n{shown.stdout}\nwant {want}"
        )
    if block.commands[-1][0].endswith("/shutdown"):
        assert server.process.wait(20) == 0


class Program(NamedTuple):
    """A program in a document, its server, and the output that the comments after its lines
    expect.
    """

    example: str
    options: list[str]  # NAME=VALUE
    code: str
    prints: str


def programs(document: str, language: str, mark: str = "run") -> list[Program]:
    text = (ROOT / document).read_text()
    found = re.findall(
        rf"<!-- {mark}: (\w+)([^\n]*?) -->\n```{language}\n(.*?)```", text, re.DOTALL
    )
    said = r"^.*\S  ?(?:#|//) (.*)$"
    return [
        Program(e, o.split(), code, "\n".join(re.findall(said, code, re.MULTILINE)))
        for e, o, code in found
    ]


def check_program(start, tmp_path, program: Program, command: list[str], cwd: pathlib.Path) -> None:
    shutil.copytree(ROOT / "examples" / program.example, tmp_path / "model")
    env = dict(option.split("=", 1) for option in program.options)
    server = start("", "--python", sys.executable, model_dir=tmp_path / "model", env=env)
    code = program.code.replace("localhost:5000", f"127.0.0.1:{server.port}")
    shown = subprocess.run([*command, code], cwd=cwd, capture_output=True, text=True, timeout=30)
    assert (shown.stdout.strip(), shown.returncode) == (program.prints, 0), shown.stderr


PYTHON = [sys.executable, "-c"]
JAVASCRIPT = ["node", "--input-type=module", "-e"]


@pytest.mark.parametrize("program", programs("docs/http-api.md", "python"))
def test_the_python_programs_print_the_documented_output(start, tmp_path, program):
    check_program(start, tmp_path, program, PYTHON, tmp_path)


@pytest.mark.skipif(not CLIENT.exists(), reason="make test installs the client where npm is")
@pytest.mark.parametrize("program", programs("docs/http-api.md", "javascript"))
def test_the_javascript_programs_print_the_documented_output(start, tmp_path, program):
    check_program(start, tmp_path, program, JAVASCRIPT, ROOT / "tests" / "v1js")


def check_client(start, tmp_path, program: Program, command: list[str]) -> None:
    """Run a program of docs/clients.md in a directory with its picture."""
    Image.new("RGB", (200, 100), "red").save(tmp_path / "photo.png")
    check_program(start, tmp_path, program, command, tmp_path)
    if program.example == "resize":
        made = Image.open(tmp_path / "small.png")
        assert (made.size, made.getpixel((25, 12))) == ((50, 25), (255, 0, 0, 255))


@pytest.mark.parametrize("program", programs("docs/clients.md", "python"), ids=lambda p: p.prints)
def test_the_python_clients_work(start, tmp_path, program):
    check_client(start, tmp_path, program, PYTHON)


@pytest.mark.skipif(not shutil.which("node"), reason="node is missing: Debian has it in nodejs")
@pytest.mark.parametrize(
    "program", programs("docs/clients.md", "javascript"), ids=lambda p: p.prints
)
def test_the_javascript_clients_work(start, tmp_path, program):
    check_client(start, tmp_path, program, JAVASCRIPT)


def test_the_documents_have_examples():
    for language in ("python", "javascript"):
        assert programs("docs/http-api.md", language)
        assert len(programs("docs/clients.md", language)) == 4
    assert programs("docs/clients.md", "javascript", "browser")
    assert len(ALL) >= 9 and sum(len(b.commands) for b in ALL) >= 25


def test_the_body_of_a_webhook_is_as_shown(start, tmp_path, receiver):
    [(example, asked, body)] = re.findall(
        r"<!-- webhook: (\w+) (.*) -->\n```json\n(.*?)```",
        (ROOT / "docs/http-api.md").read_text(),
        re.DOTALL,
    )
    shutil.copytree(ROOT / "examples" / example, tmp_path / "model")
    start(model_dir=tmp_path / "model").predict(**json.loads(asked), webhook=receiver.url)
    shown, sent = json.loads(body), receiver.wait_terminal()
    assert list(shown) == list(sent)  # in this order
    differ = {"metrics", "created_at", "started_at", "completed_at"}
    assert {k: v for k, v in shown.items() if k not in differ} == {
        k: v for k, v in sent.items() if k not in differ
    }
    assert shown["metrics"].keys() == sent["metrics"].keys()
    assert {re.sub(r"\d", "0", shown[k]) for k in differ - {"metrics"}} == {
        re.sub(r"\d", "0", sent["created_at"])
    }


def for_people(default: str) -> str:
    """The default of a flag in the form of a table: 128MiB is 128 MiB, and 2m is 2 min."""
    number, unit = re.fullmatch(r"(\d*)(\w*)", default).groups()
    return f"{int(number):,} {'min' if unit == 'm' else unit}".strip() if number else "none"


def test_the_limits_are_the_defaults_of_the_flags():
    """TestTheTableOfFlagsIsComplete compares docs/operating.md with the flags of the server."""
    operating = (ROOT / "docs/operating.md").read_text()
    flags = dict(
        re.findall(r"^\| `(--[\w-]+)` \| [^|]* \| `?([^`|]*?)`? \|", operating, re.MULTILINE)
    )
    limits = (ROOT / "docs/http-api.md").read_text().partition("## Limits")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| `(--[\w-]+)` \| ([^|]*) \|", limits, re.MULTILINE))
    wrong = {
        flag: text
        for flag, text in rows.items()
        if not re.match(for_people(flags[flag]) + r"\b", text)
    }
    assert wrong == {}
    group = operating.partition("**Limits**")[2].partition("**")[0]
    assert set(re.findall(r"`(--[\w-]+)` \|", group)) - rows.keys() == set()


def runner_usage():
    """The words of the runner's usage line that are its arguments, in their order."""
    command = [sys.executable, "-m", "cog.internal.file_runner"]
    env = dict(os.environ, PYTHONPATH=str(ROOT / "python"))
    usage = subprocess.run(command, env=env, capture_output=True, text=True, timeout=20).stderr
    return re.findall(r"--[\w-]+", usage)


def test_the_protocol_has_the_arguments_of_the_runner():
    protocol = (ROOT / "docs/protocol.md").read_text()
    shown = (
        protocol.partition("## Starting the runner")[2].partition("```\n")[2].partition("```")[0]
    )
    arguments = re.findall(r"--[\w-]+", shown)
    assert len(arguments) > 5 and arguments == runner_usage()


def test_the_usage_of_the_runner_names_what_the_server_gives_and_the_runner_reads():
    server = (ROOT / "internal/runner/runner.go").read_text()
    given = set(re.findall(r'"(--[\w-]+)"', server))
    runner = (ROOT / "python/cog/internal/file_runner.py").read_text()
    read = re.findall(r'options(?:\[|\.get\()"([\w-]+)"|"([\w-]+)" in options', runner)
    assert set(runner_usage()) == given == {f"--{by_key or by_in}" for by_key, by_in in read}


def shell_blocks(document: str = "README.md") -> dict[str, list[str]]:
    """The shell blocks of a document, by their first words: the words of each line."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / document).read_text(), re.DOTALL)
    lines = [[shlex.split(line, comments=True) for line in block.splitlines()] for block in blocks]
    return {" ".join(block[0][:2]): block for block in lines}


def test_every_shell_block_of_the_readme_is_tried():
    here, in_packaging, itself = (
        {"git clone", "bin/coggo-server init", "bin/coggo-server path/to/model"},
        {"make dist", "python3 -m"},
        {"make test"},
    )
    assert set(shell_blocks()) == here | in_packaging | itself


def test_the_commands_of_contributing_work():
    """make build and make .venv/.tests need no run here, because this test could not run without
    them.
    """
    quick = shell_blocks("CONTRIBUTING.md").pop("go test")
    assert shell_blocks("CONTRIBUTING.md").keys() == {"make build", "go test"}
    assert quick.pop(1) == ["make", ".venv/.tests"]
    find_go = ["sh", "scripts/find-go", ".venv"]
    go = subprocess.run(find_go, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for words in quick:
        command = [{"go": go.strip(), ".venv/bin/python": sys.executable}.get(w, w) for w in words]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=50)
        said = done.stdout + done.stderr
        assert done.returncode == 0, said
        assert re.search(r"^ok\s|\d passed", said, re.MULTILINE), said
        assert "no tests to run" not in said


@pytest.mark.parametrize(
    ("pages", "at_least"), [("CONTRIBUTING.md", 30), ("README.md", 30), ("docs/**/*.md", 60)]
)
def test_the_files_that_a_page_names_exist(pages, at_least):
    text = "\n".join(path.read_text() for path in ROOT.glob(pages))
    named = set(
        re.findall(
            r"`((?:bench|cmd|internal|python|docs|tests|deploy|examples|scripts)/[\w./-]+)`", text
        )
    )
    assert len(named) > at_least
    assert {name for name in named if not (ROOT / name).exists()} == set()


def test_the_first_steps_of_the_readme_end_with_make_run():
    """The clone is this directory, and test_make_run_serves_the_hello_example runs the last
    line.
    """
    assert [line[:2] for line in shell_blocks()["git clone"]] == [
        ["git", "clone"],
        ["cd", "coggo"],
        ["make", "run"],
    ]


def test_three_commands_make_and_serve_a_new_model(start, tmp_path):
    begin, look, serve = shell_blocks()["bin/coggo-server init"]
    for words in (begin, look):
        done = subprocess.run(
            [BINARY, *words[1:]], cwd=tmp_path, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert "all is well" in done.stdout
    model = tmp_path / "my-model"
    command = [str(BINARY), *serve[1:-1], str(model), "--host", "127.0.0.1", "--port", "0"]
    server = start(model_dir=model, command=command)
    assert server.predict({"text": "hi"}).json["output"] == "hi."
    source = (model / "predict.py").read_text()
    (model / "predict.py").write_text(source.replace('"plain": "{}."', '"plain": "{} again."'))
    until("the change", lambda: server.predict({"text": "hi"}).json.get("output") == "hi again.")


@pytest.mark.parametrize(
    "words", shell_blocks()["bin/coggo-server path/to/model"], ids=lambda words: " ".join(words)
)
def test_each_way_to_serve_a_model_works(start, tmp_path, words):
    write_files("README.md", tmp_path / "model")
    if "--predict" in words:
        (tmp_path / "model" / "cog.yaml").unlink()
    stands_for = {
        "bin/coggo-server": BINARY,
        "path/to/model": tmp_path / "model",
        "venv/bin/python": real_python(),
    }
    command = [str(stands_for.get(word, word)) for word in words]
    if "--help" in words:
        assert (
            "--port"
            in subprocess.run(
                command, capture_output=True, text=True, check=True, timeout=20
            ).stdout
        )
        return
    server = start(
        model_dir=tmp_path / "model", command=[*command, "--host", "127.0.0.1", "--port", "0"]
    )
    assert server.predict({"text": "a queue of audio", "limit": 1}).json["output"] == ["queue"]


@pytest.mark.parametrize("example", ["hello", "stream"])
def test_each_example_runs(start, tmp_path, example):
    shutil.copytree(ROOT / "examples" / example, tmp_path / example)
    server = start(model_dir=tmp_path / example)
    inputs = {"hello": {"name": "you", "times": 2}, "stream": {"text": "a b", "pause": 0}}
    outputs = {"hello": "hello you hello you", "stream": ["a ", "b "]}
    assert server.predict(inputs[example]).json["output"] == outputs[example]


def test_the_fractal_example_draws_a_picture(start, tmp_path):
    shutil.copytree(ROOT / "examples" / "fractal", tmp_path / "fractal")
    server = start(model_dir=tmp_path / "fractal")
    body = server.predict({"width": 64, "iterations": 30, "zoom": 1}).json
    drawn = Image.open(io.BytesIO(base64.b64decode(body["output"].partition(",")[2])))
    assert (drawn.size, len(drawn.getcolors(4096)) > 5, body["metrics"]["pixels"]) == (
        (64, 40),
        True,
        64 * 40,
    )


def test_make_run_serves_the_hello_example():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    made = subprocess.Popen(
        ["make", "run", f"PORT={port}"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        assert made.stdout is not None
        told = next(line for line in made.stdout if "msg=listening" in line)
        assert f"address=127.0.0.1:{port} " in told
        assert any('msg="model ready"' in line for line in made.stdout)
        ask = blocks("README.md")[0].commands[0][0].replace("localhost:5000", f"localhost:{port}")
        assert (
            '"output":"hello world"'
            in subprocess.run(ask, shell=True, capture_output=True, text=True, timeout=50).stdout
        )
    finally:
        os.killpg(made.pid, signal.SIGINT)  # as Ctrl-C in a terminal does
        rest, _ = made.communicate(timeout=20)
    assert "msg=stopped" in rest


def test_the_resize_example_takes_and_returns_an_image(start, tmp_path):
    shutil.copytree(ROOT / "examples" / "resize", tmp_path / "resize")
    server = start("", "--python", sys.executable, model_dir=tmp_path / "resize")
    image = io.BytesIO()
    Image.new("RGB", (200, 100), "red").save(image, "PNG")
    sent = "data:image/png;base64," + base64.b64encode(image.getvalue()).decode()
    body = server.predict({"image": sent, "width": 50}).json
    assert body["output"].startswith("data:image/png;base64,"), body
    resized = Image.open(io.BytesIO(base64.b64decode(body["output"].partition(",")[2])))
    assert (resized.size, resized.getpixel((25, 12))) == ((50, 25), (255, 0, 0, 255))


DECISIONS = sorted((ROOT / "docs/decisions").glob("0*.md"))


@pytest.mark.parametrize(
    ("pages", "at_least"),
    [
        ([ROOT / "docs/reliability.md"], 50),
        ([ROOT / "docs/security.md"], 50),
        (DECISIONS, 5),
    ],
    ids=["reliability", "security", "decisions"],
)
def test_every_test_that_a_page_names_exists(pages, at_least):
    """Each promise names the test that checks it."""
    text = "\n".join(page.read_text() for page in pages)
    names = set(re.findall(r"`(?:tests/[\w/]+/)?((?:test_|Test|Fuzz)\w+(?:\.py)?)`", text))
    found = [
        path
        for pattern in ("tests/**/*.py", "internal/**/*_test.go", "cmd/**/*_test.go")
        for path in ROOT.glob(pattern)
    ]
    files = {path: path.read_text() for path in found}
    there = {
        name
        for text in files.values()
        for name in re.findall(r"^(?:def|func) (\w+)\(", text, re.MULTILINE)
    }
    there |= {path.name for path in files}
    assert len(names) > at_least
    assert names - there == set()


def test_every_decision_is_complete_and_in_the_index():
    index = re.findall(
        r"^\| \[(\d+)\]\((\S+)\) \| (.*?) \| (.*?) \|$",
        (ROOT / "docs/decisions/README.md").read_text(),
        re.MULTILINE,
    )
    assert [name for _, name, _, _ in index] == [page.name for page in DECISIONS]
    for (number, name, title, date), page in zip(index, DECISIONS):
        lines = page.read_text().splitlines()
        assert (lines[0], int(name[:4])) == (f"# {number}. {title}", int(number))
        assert re.match(r"\d{4}-\d\d-\d\d", date) and lines[2].startswith(date)
        assert [line for line in lines if line.startswith("## ")] == [
            "## Context",
            "## Decision",
            "## Figure",
            "## What would change it",
        ]


PAGES = [
    str(path.relative_to(ROOT))
    for pattern in ("*.md", ".github/*.md", "docs/*.md", "docs/decisions/*.md", "examples/*/*.md")
    for path in ROOT.glob(pattern)
]


def headings(page: pathlib.Path) -> set[str]:
    """The anchors that GitHub makes of the headings of a page."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    found = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-") for heading in found}


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_to_a_page_and_a_heading_that_exist(page):
    at = ROOT / page
    text = re.sub(r"^```.*?^```", "", at.read_text(), flags=re.DOTALL | re.MULTILINE)
    links = [
        link for link in re.findall(r"\]\(([^)\s]+)\)", text) if not re.match(r"[a-z]+:", link)
    ]
    broken = []
    for link in links:
        path, _, anchor = link.partition("#")
        target = at.parent / path if path else at
        if not target.exists() or (anchor and anchor not in headings(target)):
            broken.append(link)
    assert broken == []
