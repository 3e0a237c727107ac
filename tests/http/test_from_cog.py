"""docs/from-cog.md: its statements about Cog's flags, variables, paths and names are true."""

from __future__ import annotations

import importlib
import re
import subprocess

import pytest

import cog
from cog.internal.contract.remedies import BROUGHT
from servers import BINARY, ROOT

TEXT = (ROOT / "docs/from-cog.md").read_text()


def table(heading):
    """The rows of the table below a heading, without its head."""
    part = TEXT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in part.splitlines() if line.startswith("|")]
    assert len(rows) > 3, heading
    return rows[2:]


def quoted(cell):
    return re.findall(r"`([^`]+)`", cell)


#: The flags and variables of Cog's server.
FLAGS = [
    "--host",
    "--port",
    "--threads",
    "--upload-url",
    "--await-explicit-shutdown",
    "--x-mode",
    "--version",
    "--runner-shutdown-grace-period",
    "--working-directory",
    "--use-procedure-mode",
    "--one-shot",
    "--max-runners",
    "--cleanup-timeout",
]
VARIABLES = [
    "PORT",
    "COG_MAX_CONCURRENCY",
    "COG_SETUP_TIMEOUT",
    "COG_LOG_LEVEL",
    "LOG_FORMAT",
    "COG_THROTTLE_RESPONSE_INTERVAL",
    "COG_STREAM_HISTORY_CAPACITY",
    "COG_WEIGHTS",
    "COG_USER_AGENT",
    "WEBHOOK_AUTH_TOKEN",
    "KUBERNETES_SERVICE_HOST",
    "COG_PREDICT_TYPE_STUB",
    "COG_TRAIN_TYPE_STUB",
    "COG_WAIT_FILE",
    "COG_HOST",
    "COG_PORT",
    "COG_UPLOAD_URL",
]


def test_every_flag_is_listed_and_those_that_are_the_same_are_accepted():
    rows = {
        flag: right
        for left, right in table("Flags of `python -m cog.server.http`")
        for flag in quoted(left)
    }
    assert set(rows) == set(FLAGS)
    values = {
        "--host": "x",
        "--port": "1",
        "--threads": "2",
        "--upload-url": "http://x",
        "--x-mode": "predict",
    }
    values["--runner-shutdown-grace-period"] = "30"
    for flag, right in rows.items():
        words = [flag] + ([values[flag]] if flag in values else [])
        done = subprocess.run(
            [BINARY, *words, "/no/such/model"], capture_output=True, text=True, timeout=20
        )
        if right.startswith(("the same", "accepted")):
            assert "unknown flag" not in done.stderr, flag
        else:
            assert "unknown flag" in done.stderr, flag


def test_every_variable_is_listed_and_read():
    rows = {name: right for left, right in table("Environment variables") for name in quoted(left)}
    assert set(rows) == set(VARIABLES)
    operating = (ROOT / "docs/operating.md").read_text()
    assert all(f"`{name}`" in operating for name in rows)


def test_every_path_is_served():
    routes = (ROOT / "internal/httpapi/routes.go").read_text()
    paths = [path for left, _ in table("Paths") for path in quoted(left)]
    assert len(paths) == 11
    for path in [*paths, *quoted(table("Paths")[-1][1])]:
        if path.startswith(("GET", "POST", "PUT")):
            assert f'"{path}"' in routes or f'"{path}{{$}}"' in routes, path


NAMES = [name for row in table("Python names") for name in quoted(row[0]) or quoted(row[1])]


@pytest.mark.parametrize("name", NAMES)
def test_every_name_can_be_imported(name):
    parent, _, last = name.rpartition(".")
    if hasattr(importlib.import_module(parent), last):
        return
    importlib.import_module(name)


def test_the_packages_that_came_with_cog_are_those_that_errors_name():
    assert {
        quoted(left)[0]: quoted(right)[0] for left, right in table("Packages that came with Cog")
    } == BROUGHT


def test_no_public_name_is_missing():
    public = {name for name in cog.__all__ if not name.startswith("_")}
    assert public <= {name.removeprefix("cog.") for name in NAMES}


def test_the_commands_exist():
    shown = subprocess.run([BINARY, "--help"], capture_output=True, text=True, timeout=20).stdout
    used = set(re.findall(r"`coggo-server (\w+)", TEXT))
    assert {"predict", "schema"} <= used and all(f"\n  {name} " in shown for name in used)


def test_links_lead_somewhere():
    for document in ("from-cog.md", "operating.md"):
        for target in re.findall(r"\]\((?!http)([^)#]+)\)", (ROOT / "docs" / document).read_text()):
            assert (ROOT / "docs" / target).resolve().exists(), target
