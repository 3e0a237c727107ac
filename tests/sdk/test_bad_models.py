"""The loader refuses models that cannot be served, with an error that tells their author what to
do.
"""

from __future__ import annotations

import pathlib
import re
from typing import Any

import pytest

from interpreters import ask_all
from sdk.cases import Case, read

#: All models are loaded before the first test, in every Python side by side.
pytestmark = pytest.mark.timeout(300)

CASES = read("bad.txt")


@pytest.fixture(scope="module")
def refusals() -> dict[str, Any]:
    """The error for each model, by version of Python and title."""
    return ask_all(
        pathlib.Path(__file__).with_name("bulk.py"), {c.title: c.question() for c in CASES}
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_each_bad_model_is_refused_in_these_words(refusals: dict[str, Any], case: Case) -> None:
    assert case.expected, "a case without expectation"
    for version, found in refusals.items():
        if tuple(map(int, version.split("."))) < case.since:
            continue
        result = found[case.title]
        assert "document" not in result, f"{version}: it was accepted"
        text = result.get("refused") or result["raised"]
        for word, value in case.expected:
            assert (value in text) == (word == "says"), f"{version}: {word} {value!r}\n{text}"


def test_each_problem_names_its_file(refusals: dict[str, Any]) -> None:
    for found in refusals.values():
        for title, result in found.items():
            for line in result.get("refused", "").splitlines():
                assert re.match(r"'?[\w/]+\.py", line), f"{title}: {line}"


def test_a_problem_of_a_signature_names_its_line(refusals: dict[str, Any]) -> None:
    for found in refusals.values():
        for title, result in found.items():
            for line in result.get("refused", "").splitlines():
                if re.search(r": \w+: ", line):
                    assert re.match(r"[\w/]+\.py:\d+: ", line), f"{title}: {line}"


def test_the_table_of_bad_models_has_at_least_100_cases() -> None:
    assert len(CASES) >= 100
