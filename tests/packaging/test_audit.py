"""`make audit` fails if it could not check something. The databases are a file and a port where
nobody listens; everything else is real.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

import pytest
from packages import ROOT


def audit(**env):
    tools = {"GO": os.environ.get("GO", "go"), "VENV": sys.prefix}
    command = ["sh", ROOT / "scripts/audit"]
    return subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **tools, **env},
        capture_output=True,
        text=True,
        timeout=500,
    )


@pytest.fixture
def nobody():
    """The address of a port where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


def test_an_unreachable_go_database_fails_the_audit(nobody):
    done = audit(GOVULNDB=nobody)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "all modules verified" in done.stdout
    assert "NOT CHECKED: govulncheck: the database cannot be reached from here" in done.stderr


def test_an_unreachable_python_database_fails_the_audit(nobody):
    done = audit(GO="true", HTTPS_PROXY=nobody, https_proxy=nobody, NO_PROXY="", no_proxy="")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "NOT CHECKED: pip-audit: the database cannot be reached from here" in done.stderr


def test_a_known_vulnerability_exits_with_1(tmp_path):
    """The database contains one vulnerability, in the library of the command line."""
    module = "github.com/alecthomas/kong"
    time = "2026-01-01T00:00:00Z"
    hole = {
        "schema_version": "1.3.1", "id": "GO-2026-0001", "modified": time, "published": time, "details": "made up",
        "database_specific": {"url": "https://vulnerabilities.invalid/GO-2026-0001"},  # without it govulncheck crashes
        "affected": [{
            "package": {"name": module, "ecosystem": "Go"},
            "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}]}],
            "ecosystem_specific": {"imports": [{"path": module}]},
        }],
    }  # fmt: skip
    files = {
        "index/db.json": {"modified": time},
        "index/modules.json": [{"path": module, "vulns": [{"id": hole["id"], "modified": time}]}],
        f"ID/{hole['id']}.json": hole,
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(json.dumps(content))
    done = audit(GOVULNDB=tmp_path.as_uri())
    assert done.returncode == 1 and "GO-2026-0001" in done.stdout, done.stdout + done.stderr


@pytest.fixture(scope="module")
def silent():
    """An audit whose tools for Go say nothing, and whose pip-audit is the real one."""
    return audit(GO="true")


def test_a_tool_without_output_fails_the_audit(silent):
    """For instance, a tool that crashed."""
    assert (
        "NOT CHECKED: govulncheck: it ended without saying that nothing was found" in silent.stderr
    )
    assert silent.returncode != 0


def test_a_package_unknown_to_the_database_fails_the_audit(silent):
    """pip-audit itself reports it as a success."""
    assert silent.returncode in (0, 1, 2), silent.stderr
    unknown = "could not be audited" in silent.stdout or "cannot be reached" in silent.stderr
    assert unknown == ("NOT CHECKED: pip-audit" in silent.stderr) and (
        silent.returncode != 0 or not unknown
    )
