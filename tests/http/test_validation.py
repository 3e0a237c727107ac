"""The server checks all fields of an input before it takes a slot: docs/http-api.md#validation."""

from __future__ import annotations

import json

import pytest

from model_sources import model_source

MODEL = model_source("http/validation")


@pytest.fixture(scope="module")
def server(start_once):
    return start_once(MODEL)


def given(server, raw: str):
    """POST an input that is given as JSON text, so that numbers keep their exact form."""
    return server.ask(
        "POST", "/predictions", '{"input": {%s}}' % raw, Content_Type="application/json"
    )


def value(answer, name):
    """The type and value of one input as the model saw it."""
    assert answer.status == 200, answer.body
    assert answer.json["status"] == "succeeded", answer.json
    text = (
        answer.json["output"]
        .replace("<Shade.DARK: 'dark'>", "'dark'")
        .replace("<Shade.LIGHT: 'light'>", "'light'")
    )
    return eval(text)[name]  # noqa: S307 - our own model's repr


ACCEPTED = [
    ('"i": "3"', "i", ("int", 3)),
    ('"i": " 5 "', "i", ("int", 5)),
    ('"i": "5.0"', "i", ("int", 5)),
    ('"i": 2.0', "i", ("int", 2)),
    ('"i": -7', "i", ("int", -7)),
    ('"i": 9007199254740993', "i", ("int", 2**53 + 1)),
    ('"i": 1180591620717411303424', "i", ("int", 2**70)),
    ('"f": 1', "f", ("float", 1.0)),
    ('"f": "1.5"', "f", ("float", 1.5)),
    ('"f": "1e3"', "f", ("float", 1000.0)),
    ('"f": 1e3', "f", ("float", 1000.0)),
    *[
        (f'"b": {json.dumps(v)}', "b", ("bool", True))
        for v in (True, 1, "true", "True", "t", "yes", "Y", "on", "1")
    ],
    *[
        (f'"b": {json.dumps(v)}', "b", ("bool", False))
        for v in (False, 0, "false", "F", "no", "n", "OFF", "0")
    ],
    ('"s": ""', "s", ("str", "")),
    ('"s": "https://example.com/x.png"', "s", ("str", "https://example.com/x.png")),
    ('"s": "data:text/plain,x"', "s", ("str", "data:text/plain,x")),
    ('"s": "\\u00e9\\ud83d\\ude00"', "s", ("str", "é😀")),
    ('"oi": null', "oi", ("NoneType", None)),
    ('"oi": 4', "oi", ("int", 4)),
    ('"i": 1', "no_default", ("NoneType", None)),
    ('"os": null', "os", ("NoneType", None)),
    ('"bounded": 1', "bounded", ("int", 1)),
    ('"bounded": 5', "bounded", ("int", 5)),
    ('"half": 1', "half", ("float", 1.0)),
    ('"short": "abcd"', "short", ("str", "abcd")),
    ('"short": "éééé"', "short", ("str", "éééé")),
    ('"word": "abc"', "word", ("str", "abc")),
    ('"ahead": "abc"', "ahead", ("str", "abc")),
    ('"pick": "b"', "pick", ("str", "b")),
    ('"num": 2', "num", ("int", 2)),
    ('"num": "2"', "num", ("int", 2)),
    ('"lit": "y"', "lit", ("str", "y")),
    ('"xs": [1, "2", 3.0]', "xs", ("list", [1, 2, 3])),
    ('"fs": [1, "2.5"]', "fs", ("list", [1.0, 2.5])),
    ('"ws": ["one"]', "ws", ("list", ["one"])),
    ('"bounded_xs": [1, 2]', "bounded_xs", ("list", [1, 2])),
    ('"d": {"a": [1, {"b": null}]}', "d", ("dict", {"a": [1, {"b": None}]})),
    ('"di": {"a": "1"}', "di", ("dict", {"a": 1})),
    ('"ds": [{"a": 1}]', "ds", ("list", [{"a": 1}])),
    ('"box": {"x": 1, "label": "l"}', "box", ("dict", {"x": 1, "label": "l"})),
    ('"u": "5"', "u", ("str", "5")),
    ('"u": 5', "u", ("int", 5)),
    ('"anything": [1, {"a": "b"}]', "anything", ("list", [1, {"a": "b"}])),
    ('"anything": "text"', "anything", ("str", "text")),
    ('"i": 1, "i": 2', "i", ("int", 2)),
]


@pytest.mark.parametrize(("raw", "name", "want"), ACCEPTED, ids=[row[0][:40] for row in ACCEPTED])
def test_a_valid_value_reaches_the_model_in_its_type(server, raw, name, want):
    assert value(given(server, raw), name) == want


REFUSED = [
    ('"i": "3.5"', ["i"]),
    ('"i": 5.5', ["i"]),
    ('"i": "abc"', ["i"]),
    ('"i": true', ["i"]),
    ('"i": null', ["i"]),
    ('"i": [1]', ["i"]),
    ('"i": {}', ["i"]),
    ('"f": true', ["f"]),
    ('"f": "nan"', ["f"]),
    ('"f": "inf"', ["f"]),
    ('"f": "-Infinity"', ["f"]),
    ('"f": 1e999', ["f"]),
    ('"b": 2', ["b"]),
    ('"b": "maybe"', ["b"]),
    ('"b": null', ["b"]),
    ('"s": 5', ["s"]),
    ('"s": true', ["s"]),
    ('"s": null', ["s"]),
    ('"s": ["a"]', ["s"]),
    ('"bounded": 0', ["bounded"]),
    ('"bounded": 6', ["bounded"]),
    ('"half": 1.0001', ["half"]),
    ('"short": ""', ["short"]),
    ('"short": "abcde"', ["short"]),
    ('"word": "abc1"', ["word"]),
    ('"word": "abc\\n"', ["word"]),
    ('"ahead": "ac"', ["ahead"]),
    ('"pick": "c"', ["pick"]),
    ('"pick": 1', ["pick"]),
    ('"num": 3', ["num"]),
    ('"lit": "z"', ["lit"]),
    ('"shade": "pale"', ["shade"]),
    ('"xs": "abc"', ["xs"]),
    ('"xs": [1, "x", 2, null]', ["xs", 1]),
    ('"ws": "abc"', ["ws"]),
    ('"ws": [1]', ["ws", 0]),
    ('"bounded_xs": [0]', ["bounded_xs", 0]),
    ('"bounded_xs": [1, 2, 3]', ["bounded_xs"]),
    ('"d": "text"', ["d"]),
    ('"d": [1]', ["d"]),
    ('"di": {"a": "x"}', ["di", "a"]),
    ('"ds": [1]', ["ds", 0]),
    ('"box": {"x": 1}', ["box", "label"]),
    ('"box": {"x": "a", "label": "l"}', ["box", "x"]),
    ('"u": true', ["u"]),
    ('"u": [1]', ["u"]),
    ('"u": null', ["u"]),
    ('"file": "/etc/passwd"', ["file"]),
    ('"file": "file:///etc/passwd"', ["file"]),
    ('"file": "ftp://example.com/x"', ["file"]),
    ('"file": ""', ["file"]),
    ('"file": 5', ["file"]),
    ('"files": ["http://x/y", "nope"]', ["files", 1]),
    ('"secret": 5', ["secret"]),
]


@pytest.mark.parametrize(("raw", "loc"), REFUSED, ids=[row[0][:40] for row in REFUSED])
def test_an_invalid_value_is_refused(server, raw, loc):
    answer = given(server, raw)
    assert answer.status == 422, answer.body
    assert answer.headers["content-type"] == "application/json"
    first = answer.json["detail"][0]
    assert first["loc"] == ["body", "input", *loc]
    assert first["msg"] and first["type"]


def test_every_bad_field_is_named_at_once(server):
    answer = server.predict({"i": "x", "b": 7, "pick": "z", "xs": [1, "y"]})
    found = {tuple(problem["loc"][2:]) for problem in answer.json["detail"]}
    assert answer.status == 422
    assert found == {("i",), ("b",), ("pick",), ("xs", 1)}


def test_a_secret_is_never_echoed_by_a_refusal(server):
    answer = server.predict({"secret": ["hush hush"], "i": "x"})
    assert answer.status == 422 and b"hush" not in answer.body


def test_a_missing_field_is_named(start_once):
    server = start_once(
        "class Predictor:\n    def predict(self, a: int, b: str) -> str:\n        return b\n"
    )
    answer = server.predict({})
    assert answer.status == 422
    assert [p["loc"] for p in answer.json["detail"]] == [
        ["body", "input", "a"],
        ["body", "input", "b"],
    ]
    assert {p["msg"] for p in answer.json["detail"]} == {"Field required"}


def test_an_unknown_name_is_dropped_with_a_line_in_the_logs(start_once):
    server = start_once("class Predictor:\n    def predict(self) -> str:\n        return 'x'\n")
    answer = server.predict({"nonsense": 1})
    assert answer.json["status"] == "succeeded"
    assert "nonsense" in answer.json["logs"]


def test_a_default_is_a_fresh_copy_for_each_prediction(start_once):
    server = start_once(
        "from typing import List\nfrom cog import Input\nclass Predictor:\n"
        "    def predict(self, xs: List[int] = Input(default=[1])) -> List[int]:\n        xs.append(2)\n        return xs\n"
    )
    assert [server.predict({}).json["output"] for _ in range(3)] == [[1, 2]] * 3


def test_a_catastrophic_pattern_does_not_hang(start_once):
    server = start_once(
        "from cog import Input\nclass Predictor:\n"
        "    def predict(self, s: str = Input(default='a', regex='^(a+)+$')) -> str:\n        return s\n"
    )
    assert server.predict({"s": "a" * 40 + "!"}).status == 422
    assert server.predict({"s": "aaa"}).json["output"] == "aaa"


@pytest.mark.parametrize("depth", [1_000, 100_000])
def test_deeply_nested_json_is_refused(server, depth):
    raw = '"anything": ' + "[" * depth + "]" * depth
    assert given(server, raw).status in (400, 422)
    assert given(server, '"i": 1').status == 200
