"""docs/queue.md names tests that exist."""

from __future__ import annotations

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/queue.md").read_text()


def known():
    """The names of all tests, and of their files."""
    files = list((ROOT / "tests").rglob("test_*.py"))
    code = "\n".join(path.read_text() for path in files)
    return {*re.findall(r"^def (test_\w+)\(", code, re.MULTILINE), *(path.name for path in files)}


def rows():
    """Those of the table of failures."""
    table = PAGE.partition("## When things break")[2].partition("\n\n`make")[0]
    return [line for line in table.splitlines() if line.startswith("| ")][1:]


def test_every_test_that_the_page_names_exists():
    named = set(re.findall(r"`(test_\w+(?:\.py)?)`", PAGE))
    assert len(named) > 15 and named - known() == set()


def test_every_row_of_the_failure_table_names_its_test():
    assert len(rows()) >= 10
    assert [row for row in rows() if "`test_" not in row.rsplit("|", 2)[1]] == []
