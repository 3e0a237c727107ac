"""The lists of tests/queue_left_out.py name tests that exist."""

from __future__ import annotations

import ast
import pathlib

import pytest

from queue_left_out import LEFT_OUT, ONE_WORKER

TESTS = pathlib.Path(__file__).resolve().parents[1]


def names_in(file):
    tree = ast.parse((TESTS / file).read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("reasons", [LEFT_OUT, ONE_WORKER], ids=["left out", "one worker"])
def test_every_key_is_a_file_or_a_test_with_a_reason(reasons):
    for key, reason in reasons.items():
        file, _, test = key.partition("[")[0].partition("::")
        assert reason and (TESTS / file).is_file(), key
        assert not test or test in names_in(file), key
        assert not test or file not in reasons, f"{key}: the whole file is left out"
