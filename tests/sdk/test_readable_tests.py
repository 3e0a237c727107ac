"""Every test is readable: its models are files, and its headings name pages."""

from __future__ import annotations

import ast
import pathlib
import re
from collections.abc import Iterator

import pytest

TESTS = pathlib.Path(__file__).resolve().parents[1]

#: A model of more lines is a file in tests/models.
LONGEST = 10

#: The replacement text of a call that turns a model into its async twin.
_TWIN = re.compile(r"\basync def\b|\bawait asyncio\b|\bimport asyncio\b")
_MODEL = re.compile(r"^\s*(class \w+|(async )?def (predict|run|train|setup)\b)", re.MULTILINE)


def flaws(source: str) -> Iterator[str]:
    """The parts of a file that are hard to read, each with its line."""
    nodes = list(ast.walk(ast.parse(source)))
    parts = {id(part) for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in nodes:
        if id(node) in parts:
            continue
        if (text := text_of(node)) is not None:
            if len(text.strip().splitlines()) > LONGEST and is_model(text):
                yield f"{node.lineno}: a model above {LONGEST} lines: move it to tests/models"
        elif isinstance(node, ast.Call) and makes_twin(node):
            yield f"{node.lineno}: an async twin by text replacement: write it in tests/models"
        elif isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            heading = ast.get_docstring(node) or ""
            if re.match(r"Sections? \d", heading):
                yield f"{heading[:20]!r}: name a page and its heading, as in docs/http-api.md#cancel"


def text_of(node: ast.AST) -> str | None:
    """Return the text of a string, with a name in place of each value of an f-string."""
    if isinstance(node, ast.JoinedStr):
        return "".join(p.value if isinstance(p, ast.Constant) else "value" for p in node.values)
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    return None


def is_model(text: str) -> bool:
    """Whether a string is a model that could be a file here, which needs the syntax of
    Python 3.9.
    """
    if not _MODEL.search(text):
        return False
    try:
        ast.parse(re.sub(r"\{(\w+)\}", r"\1", text), feature_version=(3, 9))
    except SyntaxError:
        return "{kind} " in text  # a template of a model
    return True


def makes_twin(call: ast.Call) -> bool:
    """Whether a call of ``replace`` or ``re.sub`` inserts async code in place of sync code."""
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in ("replace", "sub"):
        return False
    words = [a.value for a in call.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
    return len(words) >= 2 and bool(_TWIN.search(words[1])) and not _TWIN.search(words[0])


FILES = [
    path
    for path in sorted(TESTS.rglob("*.py"))
    if not {"models", "compat"} & set(path.relative_to(TESTS).parts)
]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(TESTS)))
def test_a_test_file_is_readable(path: pathlib.Path) -> None:
    assert list(flaws(path.read_text())) == []


_PREDICT = "class Predictor:\n    def predict(self) -> str:\n        return ''\n"

OFFENCES = {
    "a long model": f"MODEL = {_PREDICT + '#' * 8 + chr(10) * 8 + 'x = 1'!r}",
    "a long template": "M = "
    + repr("class A:\n    {kind} predict(self): ...\n" + "    x = 1\n" * 10),
    "a long f-string": f"""M = f{_PREDICT + "{x}" * 8 + chr(10) * 8 + "y = 1"!r}""",
    "a twin": "B = A.replace('def predict', 'async def predict')",
    "a twin by a pattern": "B = re.sub('time.sleep', 'await asyncio.sleep', A)",
    "a heading": '"""Section 10: cancel."""',
}


@pytest.mark.parametrize("what", OFFENCES)
def test_each_offence_is_found(what: str) -> None:
    assert len(list(flaws(OFFENCES[what]))) == 1


def test_short_models_and_other_strings_are_allowed() -> None:
    page = "a page\n" * 20
    assert list(flaws(f"MODEL = {_PREDICT!r}\nTEXT = {page!r}\nB = A.replace('x', 'y')")) == []
