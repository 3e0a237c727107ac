"""Each trap of reading annotations at run time, on every installed Python."""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys
from typing import Any

import pytest

from interpreters import ROOT, ask_all
from model_sources import model_source

#: All models are loaded before the first test, in every Python side by side.
pytestmark = pytest.mark.timeout(300)

SCRIPT = pathlib.Path(__file__).with_name("traps.py")
TRAPS = re.findall(r"^def (trap_\w+)", SCRIPT.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    return ask_all(SCRIPT, None)


@pytest.mark.parametrize("name", TRAPS)
def test_each_trap_is_avoided_on_every_python(results: dict[str, Any], name: str) -> None:
    for version, found in results.items():
        assert found[name] == "", f"{version}: {found[name]}"


def test_there_are_eighteen_traps() -> None:
    assert {name[5:7] for name in TRAPS} == {f"{number:02}" for number in range(1, 19)}


FIELDS_OF_OURS = model_source("sdk/fields_of_ours")


@pytest.mark.parametrize("module", ["pydantic", "pydantic.v1"])
def test_trap_14_models_of_pydantic_have_fields_of_our_types(module: str) -> None:
    code = FIELDS_OF_OURS.replace("LIBRARY", module)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={"PYTHONPATH": str(ROOT / "python")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
