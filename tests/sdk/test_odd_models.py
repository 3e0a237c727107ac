"""The loader accepts odd models that work, with a warning that names the place, the parameter and
the remedy.
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

CASES = read("odd.txt")


@pytest.fixture(scope="module")
def loaded() -> dict[str, Any]:
    """The result of each model, by version of Python and title."""
    return ask_all(
        pathlib.Path(__file__).with_name("bulk.py"), {c.title: c.question() for c in CASES}
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_each_odd_model_has_these_warnings(loaded: dict[str, Any], case: Case) -> None:
    wanted = [value for word, value in case.expected if word == "warns"]
    assert wanted, "a case without expectation"
    for version, found in loaded.items():
        result = found[case.title]
        assert "document" in result, f"{version}: {result}"
        warnings = [re.fullmatch(r"predict\.py:\d+: (.*)", line) for line in result["warnings"]]
        assert all(warnings) and len(warnings) == len(wanted), f"{version}: {result['warnings']}"
        for told, text in zip(warnings, wanted):
            assert told is not None and told[1].startswith(text), f"{version}: {told}"
        assert result["document"]["components"]["schemas"]["Input"]["properties"] == case.want(
            "shows"
        ), version
        for word, value in case.expected:
            assert word != "not" or value not in str(result), f"{version}: it tells {value}"


def test_each_warning_says_what_to_do(loaded: dict[str, Any]) -> None:
    for found in loaded.values():
        for title, result in found.items():
            for line in result["warnings"]:
                assert re.search(r"leave (it|one) out|write |take |name it", line), (
                    f"{title}: {line}"
                )
