"""Large messages, which the runner maps instead of reading them."""

from __future__ import annotations

import json
import os
import pathlib
import random
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from runner.conftest import Start
from runner.harness import ROOT

sys.path.insert(0, str(ROOT / "python"))

from cog.internal.wire import large
from cog.internal.wire import spool as spool_module
from cog.internal.wire.spool import LARGE_INPUT, Spool

LONG = 70_000


@pytest.fixture
def path(tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    before = len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0
    yield tmp_path / "message.json"
    if before:
        assert len(os.listdir("/proc/self/fd")) == before


def read(path: pathlib.Path, text: str | bytes) -> Any:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    fd = os.open(path, os.O_RDONLY)
    try:
        return large.decode_file(fd, path.stat().st_size)
    finally:
        os.close(fd)


@pytest.mark.parametrize(
    "value",
    [
        {"input": {"a": "x" * LONG}},
        {
            "input": {
                "a": "x" * LONG,
                "b": [["y" * LONG, "short", 1.5, None], {"c": "é😀" * LONG}],
                "d": "z" * LONG,
            }
        },
        {"input": {"k" * LONG: "v" * LONG}},
        {"input": {"a": "line\n" * LONG, "b": "x" * LONG}},
        {"input": {"a": 'a "quoted" one' * LONG}},
        {"input": {"a": "x" * LONG, "NaN": "NaN"}},
        {"input": {"many": ["short"] * 1000, "a": "x" * LONG}},
        {"input": {}, "a": "x" * large._LONG},
        "x" * LONG,
        {"id": "é", "input": {"a": "\x7f" * LONG}},
    ],
    ids=lambda value: f"{str(value)[:30]} {len(str(value))}",
)
@pytest.mark.parametrize(
    "form",
    [
        {},
        {"indent": 3},
        {"separators": (" , ", " : ")},
        {"separators": (" " * 99 + ",", " " * 99 + ":")},
    ],
)
def test_a_large_message_arrives_unchanged(
    path: pathlib.Path, value: Any, form: dict[str, Any]
) -> None:
    for ascii_only in (False, True):
        assert read(path, json.dumps(value, ensure_ascii=ascii_only, **form)) == value


def test_any_shape_comes_back(path: pathlib.Path) -> None:
    shapes = random.Random(1)

    def shape(depth: int) -> Any:
        kind = shapes.randrange(6 if depth else 4)
        if kind == 0:
            return shapes.choice(["x", "é", "\\", '"', ","]) * shapes.choice([0, 1, LONG])
        if kind < 4:
            return shapes.choice([None, True, 0.5, 7, "", "NaN"])
        if kind == 4:
            return [shape(depth - 1) for _ in range(shapes.randrange(4))]
        return {
            shapes.choice("abc") * shapes.choice([1, LONG]): shape(depth - 1)
            for _ in range(shapes.randrange(4))
        }

    for _ in range(60):
        value = {"input": shape(4)}
        assert read(path, json.dumps(value, ensure_ascii=False)) == value


@pytest.mark.parametrize(
    "text",
    [
        b'{"a": "' + b"x" * LONG,
        b'{"a": "' + b"x" * LONG + b'"',
        b'{"a": "' + b"x" * LONG + b'"} {}',
        b'{"a": "' + b"x" * LONG + b'" "b"}',
        b'{"a": NaN, "b": "' + b"x" * LONG + b'"',
        b'{"a": "' + b"\xff" * LONG + b'"}',
        b"x" * LONG,
    ],
    ids=range(7),
)
def test_invalid_json_is_a_value_error(path: pathlib.Path, text: bytes) -> None:
    with pytest.raises(ValueError):
        read(path, text)
    assert read(path, '{"a": "b"}') == {"a": "b"}, "and leaves nothing behind"


@pytest.mark.parametrize("mapped", [True, False], ids=["mapped", "read"])
def test_a_request_is_the_same_where_nothing_can_be_mapped(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, mapped: bool
) -> None:
    if not mapped:

        def refuse(fd: int, size: int) -> Any:
            raise OSError("no such thing here")

        monkeypatch.setattr(spool_module, "decode_file", refuse)
    value = {"a": "x" * LARGE_INPUT, "b": "é\n"}
    request = {"id": "big", "method": "predict", "input": value, "files": [], "context": {}}
    (tmp_path / "request-big.json").write_text(json.dumps(request))
    found = Spool(str(tmp_path), os.getpid()).request("big")
    assert found is not None
    assert found.input == value


@pytest.mark.skipif(sys.platform != "linux", reason="the model reads /proc")
@pytest.mark.parametrize(
    "model", ["Sync", "Sequence", "Fails", "Async", "AsyncSequence", "AsyncFails", "Batch"]
)
@pytest.mark.parametrize("escaped", [False, True], ids=["plain", "escaped"])
def test_no_input_outlives_its_prediction(runner: Start, model: str, escaped: bool) -> None:
    r = runner(f"keeps.py:{model}")
    sizes = []
    for i in range(8):  # four inputs that are kept would exceed the bound
        text = ("\n" if escaped else "") + str(i % 10) * (4 << 20)
        response = r.response(r.send(f"p{i}", {"text": text}))
        told = response["error"] or response["output"] or r.chunks(f"p{i}")[0]
        sizes.append(int(str(told).split()[0]))
    assert sizes[-1] - sizes[3] < 12, sizes
    assert r.stop() == 0


def test_messages_that_two_threads_read_at_once_keep_their_own_strings(
    path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = path.with_name("other.json")
    seen: list[Any] = []
    second = threading.Thread(target=lambda: seen.append(read(other, json.dumps(["b" * LONG]))))
    scan = large._scan

    def slow(text: str, at: int) -> Any:
        if not second.ident:
            second.start()
            second.join(0.2)  # longer than the other takes, if it does not wait for the first one
        return scan(text, at)

    monkeypatch.setattr(large, "_scan", slow)
    assert read(path, json.dumps(["a" * LONG])) == ["a" * LONG]
    second.join()
    assert seen == [["b" * LONG]]
