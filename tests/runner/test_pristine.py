"""The runner's private copies of what a model may replace: ``cog/internal/pristine.py``."""

from __future__ import annotations

import ast
import os
import pathlib
import subprocess
import sys

import pytest

COG = pathlib.Path(__file__).parents[2] / "python/cog"
PRISTINE = "cog.internal.pristine"
COPIED = {
    "builtins",
    "ctypes",
    "errno",
    "json",
    "math",
    "os",
    "re",
    "signal",
    "stat",
    "struct",
    "time",
}

MODULES = sorted(
    path
    for path in (COG / "internal").rglob("*.py")
    if path.name not in ("__init__.py", "pristine.py")
)


def offences(source: str) -> list[str]:
    """The names that a module of the runner does not take from the copies."""
    found = []
    has_builtins = False
    for node in ast.parse(source).body:
        if isinstance(node, ast.Import):
            found += [f"import {a.name}" for a in node.names if a.name in COPIED]
        elif isinstance(node, ast.ImportFrom):
            if node.module in COPIED:
                found.append(f"from {node.module} import")
            if node.module == PRISTINE:
                has_builtins |= any(a.asname == "__builtins__" for a in node.names)
    return found if has_builtins else [*found, "no builtins"]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(COG)))
def test_every_module_of_the_runner_uses_the_copies(path):
    assert offences(path.read_text()) == []


def test_the_check_finds_names_that_bypass_the_copies():
    assert offences("import os") == ["import os", "no builtins"]
    assert offences(f"from {PRISTINE} import os\nfrom time import sleep") == [
        "from time import",
        "no builtins",
    ]
    assert offences(f"from {PRISTINE} import builtins as __builtins__\nimport sys") == []


@pytest.mark.parametrize("off", ["", "ballast", "sigmute,pristine"])
def test_the_copies_are_separate_unless_switched_off(off):
    program = (
        "import os; from cog.internal import pristine;"
        "print(pristine.os is os, pristine.os.path is os.path, pristine.os.environ is os.environ)"
    )
    shown = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(COG.parent), "COGGO_WITHOUT": off},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    same = "pristine" in off
    assert shown == f"{same} {same} True\n"
