"""Compares the schemas of the models in tests/sdk/schemas under cog from PyPI and here: part of
`make compat`.

A model that cog accepts must have the same schema in both, except where a case says ``cog differs``
or ``cog refuses``. The script checks the exceptions too, so that none outlives its reason.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys
from typing import Any

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE.parent))

from sdk.cases import Case, read  # noqa: E402

TABLES = ["inputs", "arguments", "outputs", "shapes", "public", "pydantic"]
METHODS = ["Input", "Output", "TrainingInput", "TrainingOutput"]
ENVELOPE = [
    "PredictionRequest",
    "PredictionResponse",
    "Status",
    "WebhookEvent",
    "HTTPValidationError",
    "ValidationError",
]

#: Where Coggo's document has more: requirements, empty strings that count as absent, the echo of an
#: input, and paths to poll predictions.
MORE_HERE = (
    "PredictionRequest/required: ",
    "PredictionRequest/properties/created_at/",
    "PredictionRequest/properties/id/",
    "PredictionRequest/properties/input/nullable: ",
    "PredictionRequest/properties/output_file_prefix/",
    "PredictionRequest/properties/webhook/",
    "PredictionResponse/properties/input/",
    "/predictions/get: ",
    "/predictions/{prediction_id}/get: ",
)

#: Keywords that only one side writes and that change nothing.
EMPTY: Any = ([], {})


def ask(cases: list[Case], script: pathlib.Path, path: str) -> dict[str, Any]:
    question = json.dumps({case.title: case.question() for case in cases})
    done = subprocess.run(
        [sys.executable, str(script)],
        input=question,
        env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    answers: dict[str, Any] = json.loads(done.stdout)
    return answers


def meaning(schema: Any, components: Any, shown: tuple[str, ...] = ()) -> Any:
    """A schema without references and empty keywords; input and output of the envelope stay
    names.
    """
    if isinstance(schema, list):
        return [meaning(part, components, shown) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if list(schema) == ["allOf"] or set(schema) == {"allOf", "nullable"}:
        schema = {**schema["allOf"][0], **{k: v for k, v in schema.items() if k != "allOf"}}
    found = {
        k: meaning(v, components, shown)
        for k, v in schema.items()
        if not (k in ("required", "anyOf") and v in EMPTY)
    }
    target = found.pop("$ref", None)
    if target is None:
        return found
    name = target.rpartition("/")[2]
    inner = {"name": name} if name in shown else meaning(components[name], components, shown)
    return {**inner, **found}


def difference(theirs: Any, ours: Any, place: str = "") -> list[str]:
    if not (isinstance(theirs, dict) and isinstance(ours, dict)):
        return [] if theirs == ours else [f"{place}: cog {theirs!r:.200}, here {ours!r:.200}"]
    out = []
    for key in sorted({*theirs, *ours}):
        out += difference(theirs.get(key), ours.get(key), f"{place}/{key}")
    return out


#: An input whose default is None accepts null here.
NULL = re.compile(r"(Training)?Input/properties/\w+/nullable: cog None, here True")


def differences(theirs: Any, ours: Any) -> list[str]:
    """The differences of two documents in the inputs and outputs of a model."""
    out = []
    for name in METHODS:
        sides = [d["components"]["schemas"] for d in (theirs, ours)]
        out += difference(*(meaning(side.get(name), side) for side in sides), name)
    return [line for line in out if not NULL.fullmatch(line)]


def envelope(theirs: Any, ours: Any) -> list[str]:
    """The differences around inputs and outputs: the envelopes of requests and answers, and
    paths.
    """
    out = []
    for name in ENVELOPE:
        sides = [d["components"]["schemas"] for d in (theirs, ours)]
        out += difference(*(meaning(side[name], side, ("Input", "Output")) for side in sides), name)
    for path in sorted({*theirs["paths"], *ours["paths"]}):
        operations = [
            {verb: operation["operationId"] for verb, operation in d["paths"].get(path, {}).items()}
            for d in (theirs, ours)
        ]
        out += difference(*operations, path)
    return [line for line in out if not line.startswith(MORE_HERE)]


def judge(case: Case, theirs: Any, ours: Any) -> list[str]:
    """The mistakes in one case."""
    said = case.want("cog") or ""
    if "document" not in ours:
        return [f"refused here: {ours}"]
    if "document" not in theirs:
        return [] if said.startswith("refuses") else [f"cog refuses it: {str(theirs)[-300:]}"]
    found = differences(theirs["document"], ours["document"])
    if said.startswith("differs"):
        return [] if found else ["it says that cog differs, but it does not"]
    return ["cog accepts it by now"] if said.startswith("refuses") else found


def main() -> int:
    cases = [
        case
        for table in TABLES
        for case in read(f"schemas/{table}.txt")
        if case.since <= sys.version_info[:2]
    ]
    theirs = ask(cases, HERE / "peer_bulk.py", "")
    ours = ask(cases, ROOT / "tests" / "sdk" / "bulk.py", str(ROOT / "python"))
    wrong = {case.title: judge(case, theirs[case.title], ours[case.title]) for case in cases}
    wrong["the envelope"] = envelope(theirs["str"]["document"], ours["str"]["document"])
    for title, problems in wrong.items():
        for problem in problems:
            print(f"{title}: {problem}")
    accepted = sum("document" in answer for answer in theirs.values())
    agreed = sum(case.want("cog") is None for case in cases)
    print(f"{len(cases)} models: cog accepts {accepted}, and the schemas of {agreed} mean the same")
    return 1 if any(wrong.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
