"""Reads the tables of models in public/.

A model is a title, its files, and after ``--`` requests with their expected answers::

    == a greeter
    file predict.py
    from cog import BasePredictor
    ...
    --
    {"input": {"name": "you"}, "output": "hello you"}
    {"input": {}, "detail": ["name"]}
    0.16 differs: why

Before the first file there may be ``ref FILE:NAME`` and ``train FILE:NAME`` in place of
``predict.py:Predictor``, ``env NAME=VALUE``, ``warns WORD`` (in Coggo's logs of setup) and
``windows FILE`` (a byte order mark, and line ends of Windows). If there is no cog.yaml, one is
written.

A request has ``input``, or ``train`` for a training. It ends with this ``output``, fails with this
``error``, or is refused for the inputs in ``detail``. ``logs`` is a part of the logs and
``metrics`` some of the metrics. A file in the output is written ``data:TYPE,TEXT``, a picture
``data:TYPE,(WIDTHxHEIGHT)``. ``{files}`` is the address of the files to download.

``0.16 differs: WHY`` is about the request above it. Before the first request, ``0.16 refuses: WHY``
says that the model does not start.
"""

from __future__ import annotations

import json
import pathlib
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

HERE = pathlib.Path(__file__).resolve().parent / "public"


class Request(NamedTuple):
    """A request, its expected answer, and the peers that answer differently, with the reason."""

    body: dict[str, Any]
    want: dict[str, Any]
    differs: dict[str, str]


class Model(NamedTuple):
    title: str
    files: dict[str, str]
    options: dict[str, str]
    refuses: dict[str, str]
    requests: list[Request]

    @property
    def ref(self) -> str:
        return self.options.get("ref", "predict.py:Predictor")

    @property
    def train(self) -> str | None:
        return self.options.get("train")

    def write(self, directory: pathlib.Path) -> None:
        train = f'train: "{self.train}"\n' if self.train else ""
        for name, text in {"cog.yaml": f'predict: "{self.ref}"\n{train}', **self.files}.items():
            if name == self.options.get("windows"):
                text = "\ufeff" + text.replace("\n", "\r\n")
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())


def models() -> Iterator[Model]:
    """All models of all tables."""
    for table in sorted(HERE.glob("*.txt")):
        for block in re.split(r"^== ", table.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
            yield _model(block)


def _model(block: str) -> Model:
    title, _, rest = block.partition("\n")
    source, _, lines = rest.partition("\n--\n")
    head, *files = re.split(r"^file (\S+)\n", source + "\n", flags=re.MULTILINE)
    options = dict(line.split(" ", 1) for line in head.splitlines())
    refuses: dict[str, str] = {}
    requests: list[Request] = []
    for line in filter(None, lines.splitlines()):
        said = re.fullmatch(r"(0\.\d+) (differs|refuses): (.+)", line)
        if said is None:
            requests.append(_request(json.loads(line)))
        else:
            (refuses if said[2] == "refuses" else requests[-1].differs)[said[1]] = said[3]
    return Model(title, dict(zip(files[::2], files[1::2])), options, refuses, requests)


def _request(line: dict[str, Any]) -> Request:
    body = {key: line.pop(key) for key in ("input", "train") if key in line}
    return Request(body, line, {})
