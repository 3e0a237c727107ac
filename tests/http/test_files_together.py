"""Files of any directories below tests/ can be run together."""

from __future__ import annotations

import collections
import re
import subprocess
import sys

from servers import ROOT

TESTS = ROOT / "tests"

#: One file of each directory, and only files for which tests/requirements.txt is enough. The
#: directories with a conftest.py of their own are first, last and in between.
FILES = (
    "packaging/test_wheel.py",
    "faults/test_bystanders.py",
    "queue/test_chaos.py",
    "runner/test_cancel.py",
    "http/test_cancel.py",
    "openapi/test_schemathesis.py",
    "sdk/test_bad_models.py",
)


def collect(*names: str) -> str:
    command = [sys.executable, "-m", "pytest", "-q", "--collect-only", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, *(f"tests/{name}" for name in names)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_files_of_all_directories_are_collected_together_in_either_order():
    for names in (FILES, FILES[::-1]):
        found = collect(*names)
        assert [name for name in names if f"tests/{name}" not in found] == []


def test_no_file_imports_a_conftest_that_another_one_hides():
    found = [
        str(path.relative_to(TESTS))
        for path in TESTS.rglob("*.py")
        if re.search(
            r"^\s*(from conftest import|import conftest)\b", path.read_text(), re.MULTILINE
        )
    ]
    assert found == []


def test_no_two_test_files_have_one_module_name():
    names = collections.Counter(
        path.name for path in TESTS.rglob("test_*.py") if not (path.parent / "__init__.py").exists()
    )
    assert [name for name, count in names.items() if count > 1] == []
