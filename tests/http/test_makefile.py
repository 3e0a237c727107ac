"""`make lint` and `make fmt` process the same files: all sources in Go and Python."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess

import pytest

from servers import ROOT

#: Generated files, and files of other projects.
NOT_OURS = {"bin", "dist", "node_modules", "__pycache__"}


def commands(target: str) -> str:
    """The commands that make would run for a target."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}
    return subprocess.run(
        ["make", "-n", target], cwd=ROOT, env=env, capture_output=True, text=True, check=True
    ).stdout


def files_of(target: str, tool: str) -> list[list[str]]:
    """The files and directories of each call of a tool in a target."""
    calls = re.findall(rf"(?:^|[/( ]){tool}((?: [\w./-]+)+)", commands(target), re.MULTILINE)
    words = [[w for w in call.split() if not w.startswith("-")] for call in calls]
    return [[w for w in call if w not in ("check", "format")] for call in words]


def is_python(path: pathlib.Path) -> bool:
    return path.suffix == ".py" or (not path.suffix and b"python" in path.read_bytes()[:30])


def sources(kind) -> set[pathlib.Path]:
    found = set()
    for directory, below, names in os.walk(ROOT):
        below[:] = [name for name in below if not name.startswith(".") and name not in NOT_OURS]
        paths = [pathlib.Path(directory, name) for name in names]
        found |= {path for path in paths if path.is_file() and kind(path)}
    return found


@pytest.mark.parametrize(
    ("tool", "ends", "kind"),
    [("gofmt", ".go", lambda path: path.suffix == ".go"), ("ruff", ".py", is_python)],
)
def test_fmt_formats_every_file_that_lint_checks(tool, ends, kind):
    checked, formatted = files_of("lint", tool), files_of("fmt", tool)
    lists = [set(files) for files in checked + formatted]
    assert len(checked) > 1 and lists and all(files == lists[0] for files in lists)
    given = {ROOT / name for name in lists[0]}
    missed = {
        path
        for path in sources(kind)
        if path not in given and not (path.suffix == ends and given & {*path.parents})
    }
    assert missed == set()


def test_code_that_fmt_fixes_is_formatted_afterwards():
    assert re.findall(r"ruff (\w+)", commands("fmt")) == ["check", "format"]
