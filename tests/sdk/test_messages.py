"""The same mistake has the same message in Go, which checks requests, and in Python, which checks
direct calls, defaults and outputs. `internal/schema/message_test.go` reads the same table.
"""

from __future__ import annotations

import json
import pathlib
from typing import Any

import pytest

from cog.errors import InputError
from cog.internal.contract.containers import ListOf
from cog.internal.contract.kinds import Integer, Text
from cog.internal.contract.loader import load
from cog.internal.contract.unions import Choice

ROWS = json.loads(pathlib.Path(__file__).with_name("messages.json").read_text())

HEADER = "from typing import *\nfrom cog import Input, Path, Secret\n"


@pytest.mark.parametrize("row", ROWS, ids=[f"{r['input']} {r.get('value')}" for r in ROWS])
def test_each_message_is_the_same_as_the_servers(
    row: dict[str, Any], tmp_path: pathlib.Path
) -> None:
    model = tmp_path / "model.py"
    model.write_text(f"{HEADER}def predict({row['input']}) -> str:\n    return ''\n")
    loaded = load(f"{model}:predict")
    assert row["schema"].items() <= shown(loaded.openapi()["components"]["schemas"]).items()
    values = {"x": row["value"]} if "value" in row else {}
    with pytest.raises(InputError) as caught:
        loaded.predict.decode(values, {})
    where, message = str(caught.value).split(": ", 1)
    assert where.startswith("x")
    assert message.split("; got ")[0] == row["message"]


def shown(schemas: dict[str, Any]) -> dict[str, Any]:
    """The schema of the input x; that of a choice is in a component."""
    x: dict[str, Any] = schemas["Input"]["properties"]["x"]
    return schemas[x["allOf"][0]["$ref"].rpartition("/")[2]] if "allOf" in x else x


@pytest.mark.parametrize(
    "item, words",
    [
        (Text(), "a list of strings"),
        (ListOf(Integer()), "a list of lists of integers"),
        (Choice(["a", "b"], Text()), "a list of items (one of: a, b)"),
    ],
)
def test_a_list_is_described_in_plain_words(item, words):
    assert ListOf(item).text == words
