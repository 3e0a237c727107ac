"""Models, and the Input and Output of their OpenAPI documents, which are the same on every
installed Python.
"""

from __future__ import annotations

import pathlib
import sys
from typing import Any

import pytest

from interpreters import ask_all
from sdk.cases import Case, read

#: All models are loaded before the first test, in every Python side by side.
pytestmark = pytest.mark.timeout(300)

TABLES = ["inputs", "arguments", "outputs", "shapes", "public", "batch"]
CASES = [case for table in TABLES for case in read(f"schemas/{table}.txt")]

#: Components of every document.
ENVELOPE = {
    *(f"{kind}{end}" for kind in ("Prediction", "Training") for end in ("Request", "Response")),
    *("Status", "WebhookEvent", "HTTPValidationError", "ValidationError", "Error"),
}


#: Models that need pydantic, which the interpreter of the tests has.
PYDANTIC = read("schemas/pydantic.txt")


def ask(cases: list[Case], **options: Any) -> dict[str, Any]:
    """The result of each model, by version of Python and title."""
    return ask_all(
        pathlib.Path(__file__).with_name("bulk.py"),
        {c.title: c.question() for c in cases},
        **options,
    )


@pytest.fixture(scope="module")
def documents() -> dict[str, Any]:
    return ask(CASES)


@pytest.fixture(scope="module")
def documents_with_pydantic() -> dict[str, Any]:
    return ask(PYDANTIC, pythons={f"3.{sys.version_info[1]}": sys.executable})


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_each_model_has_this_schema(documents: dict[str, Any], case: Case) -> None:
    check(documents, case)


@pytest.mark.parametrize("case", PYDANTIC, ids=lambda case: case.title)
def test_each_model_with_pydantic_has_this_schema(
    documents_with_pydantic: dict[str, Any], case: Case
) -> None:
    check(documents_with_pydantic, case)


def check(documents: dict[str, Any], case: Case) -> None:
    for version, found in documents.items():
        if tuple(map(int, version.split("."))) < case.since:
            continue
        assert "document" in found[case.title], f"{version}: {found[case.title]}"
        document = found[case.title]["document"]
        schemas = dict(document["components"]["schemas"])
        for word, name in (
            ("input", "Input"),
            ("output", "Output"),
            ("training-input", "TrainingInput"),
            ("training-output", "TrainingOutput"),
        ):
            assert schemas.pop(name, None) == case.want(word), f"{version}: {name}"
        others = {name: schema for name, schema in schemas.items() if name not in ENVELOPE}
        assert others == (case.want("components") or {}), version
        streams = document["paths"]["/predictions"]["post"].get("x-cog-streaming", False)
        assert streams == bool(case.want("streaming")), version


def test_the_table_of_schemas_has_at_least_120_cases() -> None:
    assert len(CASES) >= 120


def test_properties_are_in_the_order_of_the_signature(documents: dict[str, Any]) -> None:
    for found in documents.values():
        for result in found.values():
            if "document" not in result:
                continue  # written for a later Python
            properties = result["document"]["components"]["schemas"]["Input"]["properties"]
            assert [p["x-order"] for p in properties.values()] == list(range(len(properties)))


def test_every_reference_of_a_document_leads_somewhere(documents: dict[str, Any]) -> None:
    def references(value: Any) -> list[str]:
        if isinstance(value, dict):
            own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
            return own + [ref for part in value.values() for ref in references(part)]
        return (
            [ref for part in value for ref in references(part)] if isinstance(value, list) else []
        )

    for found in documents.values():
        for title, result in found.items():
            document = result.get("document", {})
            known = {
                f"#/components/schemas/{name}"
                for name in document.get("components", {}).get("schemas", {})
            }
            assert set(references(document)) <= known, title
