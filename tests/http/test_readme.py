"""The README's commands do what it says."""

from __future__ import annotations

import pathlib
import re
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def sessions(document: str) -> list[tuple[str, str]]:
    """The commands of the console blocks that are marked as runnable, each with the answer that is printed there."""
    blocks = re.findall(r"<!-- run: hello -->\n```console\n(.*?)```", document, re.DOTALL)
    found = []
    for block in blocks:
        for part in block.split("$ ")[1:]:
            command, _, answer = part.partition("\n")
            found.append((command, answer.strip()))
    return found


def test_the_curls_answer_as_printed(start, tmp_path):
    shutil.copytree(ROOT / "examples" / "hello", tmp_path / "hello")
    server = start(model_dir=tmp_path / "hello")
    commands = sessions((ROOT / "README.md").read_text())
    assert len(commands) >= 8
    for command, want in commands:
        command = command.replace("localhost:5000", f"127.0.0.1:{server.port}")
        shown = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=20)
        assert shown.returncode == 0, shown.stderr
        pattern = ".*".join(map(re.escape, want.split("…")))
        assert re.fullmatch(pattern, shown.stdout.strip(), re.DOTALL), f"{command}\n{shown.stdout}\nwant {want}"
    assert server.process.wait(20) == 0


@pytest.mark.parametrize("example", ["hello", "stream"])
def test_the_examples_run(start, tmp_path, example):
    shutil.copytree(ROOT / "examples" / example, tmp_path / example)
    server = start(model_dir=tmp_path / example)
    inputs = {"hello": {"name": "you", "times": 2}, "stream": {"text": "a b", "pause": 0}}
    outputs = {"hello": "hello you hello you", "stream": ["a ", "b "]}
    assert server.predict(inputs[example]).json["output"] == outputs[example]
