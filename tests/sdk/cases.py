"""Reads the tables of predictors in this directory.

A case is a title, the lines of the model, and after ``--`` the expected result::

    == a text
    (s: str = "a") -> str
    --
    input {"properties": {...}}
    output {"type": "string"}

A model that begins with ``(`` is the signature of ``predict`` in a class ``Predictor``. A model
without imports gets those that public models have. Lines before the model say ``ref FILE:NAME``,
``train FILE:NAME`` or ``since 3.10``; ``file NAME`` begins a file.
"""

from __future__ import annotations

import json
import pathlib
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

#: Words with a JSON value; the others have plain text.
JSON = {"input", "output", "training-input", "training-output", "components", "shows"}

HERE = pathlib.Path(__file__).resolve().parent

HEADER = """import enum
import pathlib
from dataclasses import dataclass, field
from typing import Annotated, Any, AsyncIterator, Dict, Iterator, List, Literal, NewType, Optional, TypedDict, Union
from cog import AsyncConcatenateIterator, BaseModel, BasePredictor, ConcatenateIterator, File, Input, Path, Secret
"""


class Case(NamedTuple):
    """One model and its expected result: words with their values, in order."""

    title: str
    files: dict[str, str]
    ref: str
    train: str | None
    since: tuple[int, ...]
    expected: list[tuple[str, Any]]

    def question(self) -> dict[str, Any]:
        """The question for ``bulk.py``."""
        return {"files": self.files, "ref": self.ref, "train": self.train}

    def want(self, word: str) -> Any:
        """The only value of a word, or None."""
        return next((value for name, value in self.expected if name == word), None)


def read(name: str) -> list[Case]:
    """The cases of a table."""
    text = (HERE / name).read_text(encoding="utf-8")
    cases = [_case(block) for block in re.split(r"^== ", text, flags=re.MULTILINE)[1:]]
    titles = [case.title for case in cases]
    assert len(set(titles)) == len(titles), "two cases have the same title"
    return cases


def _case(block: str) -> Case:
    title, _, rest = block.partition("\n")
    model, _, tail = rest.partition("\n--\n")
    options = {"ref": "predict.py:Predictor", "train": "", "since": "3.9"}
    while True:
        said = re.match(r"(ref|train|since) (.+)\n", model)
        if said is None:
            break
        options[said[1]] = said[2]
        model = model[said.end() :]
    files = dict(_files(model))
    since = tuple(map(int, options["since"].split(".")))
    return Case(
        title, files, options["ref"], options["train"] or None, since, list(_expected(tail))
    )


def _files(model: str) -> Iterator[tuple[str, str]]:
    for part in re.split(
        r"^file ", model if model.startswith("file ") else f"file predict.py\n{model}", flags=re.M
    )[1:]:
        name, _, source = part.partition("\n")
        yield name, _whole(source)


def _whole(source: str) -> str:
    signature = re.match(r"(async )?(?=\()", source)
    if signature:
        source = f"class Predictor(BasePredictor):\n    {signature[0]}def predict(self, {source[signature.end() + 1 :].strip()}: ...\n"
        source = source.replace("self, )", "self)")
    return source if re.search(r"^(from|import) ", source, re.M) else HEADER + source


def _expected(tail: str) -> Iterator[tuple[str, Any]]:
    for line in tail.splitlines():
        word, _, value = line.partition(" ")
        if word:
            yield word, json.loads(value) if word in JSON else value
