"""The examples in docs/python-api.md give the documented results."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

import pytest

from servers import ROOT

DOCUMENT = (ROOT / "docs" / "python-api.md").read_text(encoding="utf-8")


class Example(NamedTuple):
    """A model, and requests with their expected answers."""

    title: str
    source: str
    lines: list[dict[str, Any]]


def examples() -> list[Example]:
    found = []
    for section in re.split(r"^#+ ", DOCUMENT, flags=re.MULTILINE)[1:]:
        for source, lines in re.findall(
            r"```python\n(.*?)```\n\n```json\n(.*?)```", section, re.DOTALL
        ):
            found.append(
                Example(
                    section.partition("\n")[0],
                    source,
                    [json.loads(line) for line in lines.splitlines()],
                )
            )
    return found


@pytest.mark.parametrize("example", examples(), ids=lambda example: example.title)
def test_example(start, example):
    server = start(example.source)
    for line in example.lines:
        context = {"context": line.pop("context")} if "context" in line else {}
        answer = server.predict(line.pop("input"), **context).json
        if "detail" in line:
            assert sorted(map(str, line.pop("detail"))) == sorted(
                str(problem["loc"]) for problem in answer["detail"]
            )
        metrics = line.pop("metrics", {})
        assert {name: answer["metrics"][name] for name in metrics} == metrics
        assert {name: answer[name] for name in line} == line


def test_every_block_of_python_is_an_example():
    assert len(examples()) == DOCUMENT.count("```python") >= 6


def test_every_public_name_is_in_the_document():
    import cog

    said = set(re.findall(r"\w+", DOCUMENT))
    kept_for_old_models = {
        "Coder",
        "ExperimentalFeatureWarning",
        "FieldInfo",
        "Scope",
        "URLFile",
        "URLPath",
        "emit_metric",
        "__version__",
    }
    assert set(cog.__all__) - said - kept_for_old_models == set()
