"""Odd models, as there are many in public: the server serves a model that works, with a warning,
and types keep their meaning.
"""

from __future__ import annotations

import pytest

from interpreters import every
from model_sources import model_source

ODD = model_source("http/odd_models")
ODD_ASYNC = model_source("http/odd_models_async")

#: The values of the model without inputs.
GOT = {
    "seed": "int -1",
    "empty": "str ''",
    "style": "str 'none'",
    "flag": "bool True",
    "image": "str ''",
    "xs": "list [1, 'two', 0]",
    "size": "int 2",
    "word": "str 'ab'",
    "switch": "bool True",
    "anything": "str 'x'",
    "name": "str 'n'",
    "key": "int 4711",
    "link": "str ''",
    "limit": "float inf",
}

#: The beginning of the warning about each parameter.
WARNED = {
    "seed": "default=-1 does not fit: must be at least 0. The model gets it",
    "empty": "default='' does not fit: must be an integer",
    "style": "default='none' does not fit: must be one of: a, b",
    "flag": "default=True does not fit: must be a string",
    "image": "default='' does not fit: must be a path",
    "xs": "default=[1, 'two'] at [1] does not fit: must be an integer",
    "size": "choices and ge=2 are both checked: leave one out",
    "word": "choices and max_length=2 are both checked",
    "switch": "ge=0 applies to numbers, but this is a boolean: it has no effect",
    "anything": "choices is empty",
    "name": "choices has 'n' of type Name, taken as 'n'",
    "key": "the default does not fit.",
    "link": "accept='image/*' applies to files",
    "limit": "default=inf does not fit: must be a finite 64-bit float",
}


@pytest.fixture(scope="module", params=["sync", "async"])
def odd(request, start_once):
    return start_once(ODD if request.param == "sync" else ODD_ASYNC)


def test_the_setup_logs_warn_about_each_parameter_with_its_line(odd):
    logs = odd.health()["setup"]["logs"]
    line = ODD.splitlines().index("    def predict(") + 1
    for name, text in WARNED.items():
        assert f"warning: predict.py:{line}: {name}: {text}" in logs
    assert logs.index("warning: ") < logs.index("in setup") and "4711" not in logs
    assert "warning: predict.py" in odd.log()


def test_each_prediction_gets_fresh_unchanged_defaults(odd):
    assert [odd.predict({}).json["output"] for _ in range(2)] == [GOT, GOT]


def test_the_schema_shows_them_and_the_rules_that_hold(odd):
    schemas = odd.get("/openapi.json").json["components"]["schemas"]
    shown = schemas["Input"]["properties"]
    assert {name: shown[name]["default"] for name in ("seed", "empty", "style", "flag", "image", "xs", "size")} == {
        "seed": -1, "empty": "", "style": "none", "flag": True, "image": "", "xs": [1, "two"], "size": 2,
    }  # fmt: skip
    assert (
        shown["size"]["minimum"] == 2
        and schemas["size"]["enum"] == [1, 2, 3]
        and schemas["name"]["enum"] == ["n", "m"]
    )
    assert not {"minimum", "maximum", "maxLength"} & set(shown["switch"])
    assert "default" not in shown["key"] and "default" not in shown["limit"]


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("seed", -1, "greater_than_equal"),
        ("empty", "", "int_parsing"),
        ("style", "none", "enum"),
        ("flag", True, "string_type"),
        ("image", "", "url_parsing"),
        ("size", 1, "greater_than_equal"),
        ("size", 4, "enum"),
        ("word", "abc", "string_too_long"),
        ("word", "a", "enum"),
        ("name", "o", "enum"),
    ],
)
def test_invalid_values_of_odd_models_are_refused(odd, name, value, kind):
    answer = odd.predict({name: value})
    assert (answer.status, [problem["type"] for problem in answer.json["detail"]]) == (422, [kind])


def test_valid_values_of_odd_models_are_accepted(odd):
    given = {
        "seed": 3,
        "style": "a",
        "size": 3,
        "word": "ab",
        "switch": False,
        "anything": "y",
        "name": "m",
    }
    output = odd.predict(given).json["output"]
    assert {name: output[name] for name in given} == {
        "seed": "int 3", "style": "str 'a'", "size": "int 3", "word": "str 'ab'", "switch": "bool False",
        "anything": "str 'y'", "name": "str 'm'",
    }  # fmt: skip


CONVERTED = model_source("http/odd_models_converted")


@pytest.fixture(scope="module")
def converted(start_once, tmp_path_factory):
    directory = tmp_path_factory.mktemp("model")
    (directory / "notes.txt").write_text("words")
    return start_once(CONVERTED, model_dir=directory)


def test_a_default_is_converted_like_a_value_of_a_request(converted):
    assert converted.health()["setup"]["logs"] == ""
    for _ in range(2):
        output = converted.predict({}).json["output"]
        assert output == {
            "off": "bool False", "on": "bool True", "n": "int 1000", "x": "float 1.0", "m": "int 3",
            "ns": "list [1, 2]", "table": "dict {'a': 1}",
            "shade": "Shade <Shade.DARK: 'dark'>", "shades": "list [<Shade.DARK: 'dark'>]", "plain": "str 'dark'", "level": "int 1",
            "key": "Secret Secret('**********')", "file": "Path Path('a/b.txt')", "files": "list [Path('a/b.txt')]",
            "text": "bytes b'words'", "nobody": "NoneType None",
            "mode": "NoneType None", "size": "str 'auto'",
            "steps": "int 3", "width": "int 2", "number": "int 1", "deep": "list []", "opaque": "list []",
        }  # fmt: skip


@pytest.mark.parametrize(
    ("given", "seen"),
    [
        ({"mode": "fast"}, "str 'fast'"),
        ({"mode": None}, "NoneType None"),
        ({"size": 512}, "int 512"),
        ({"size": 512.0}, "int 512"),
        ({"size": "auto"}, "str 'auto'"),
        ({"steps": "9"}, "int 9"),
        ({"width": "7"}, "int 7"),
        ({"number": 1.5}, "float 1.5"),
        ({"deep": [[1, "2"], []]}, "list [[1, 2], []]"),
        ({"opaque": [{"a": [1]}, "b", None]}, "list [{'a': [1]}, 'b', None]"),
        ({"nobody": None}, "NoneType None"),
        ({"nobody": "me"}, "Secret Secret('**********')"),
    ],
)
def test_a_value_is_converted_as_its_type_says(converted, given, seen):
    (name,) = given
    answer = converted.predict(given)
    assert answer.status == 200 and answer.json["output"][name] == seen, answer.body


@pytest.mark.parametrize(
    ("given", "loc", "kind"),
    [
        ({"mode": "bad"}, ["mode"], "enum"),
        ({"size": "512"}, ["size"], "enum"),
        ({"size": 513}, ["size"], "enum"),
        ({"size": None}, ["size"], "enum"),
        ({"steps": 0}, ["steps"], "greater_than_equal"),
        ({"steps": 10}, ["steps"], "less_than_equal"),
        ({"width": "x"}, ["width"], "int_parsing"),
        ({"number": -1.5}, ["number"], "greater_than_equal"),
        ({"deep": [[1], [0, -1]]}, ["deep", 1, 1], "greater_than_equal"),
        ({"opaque": {"a": 1}}, ["opaque"], "list_type"),
    ],
)
def test_a_value_of_another_type_is_refused(converted, given, loc, kind):
    answer = converted.predict(given)
    assert answer.status == 422, answer.body
    assert [(problem["loc"][2:], problem["type"]) for problem in answer.json["detail"]] == [
        (loc, kind)
    ]


EITHER = model_source("http/odd_models_either")


@pytest.fixture(scope="module")
def either(start_once):
    return start_once(EITHER)


@pytest.mark.parametrize(
    ("given", "seen"),
    [
        ({"text": "data:text/plain,x"}, "str data:text/plain,x"),
        ({"text": "http://127.0.0.1:1/x.png"}, "str http://127.0.0.1:1/x.png"),
        ({"text": "plain"}, "str plain"),
        ({"file": "data:text/plain,x"}, "Path .txt"),
        ({"file": "/etc/passwd"}, "str /etc/passwd"),
        ({"file": ""}, "str "),
        ({"some": "data:text/plain,x"}, "Path .txt"),
        ({"some": "words"}, "str words"),
        ({"some": None}, "NoneType None"),
        ({"many": ["words", "data:text/plain,x"]}, ["str words", "Path .txt"]),
    ],
)
def test_a_string_or_a_file_is_read_as_the_first_declared(either, given, seen):
    (name,) = given
    assert either.predict(given).json["output"][name] == seen


def test_a_default_of_a_string_or_a_file_stays_a_string(either):
    seen = {
        "text": "str a.png",
        "file": "str a.png",
        "some": "NoneType None",
        "many": ["str a.png"],
    }
    assert either.predict({}).json["output"] == seen


NAMED = """
from typing import Annotated, Iterator, Literal
from cog import BasePredictor, Input, Path

type Mode = Literal["fast", "good"]
type Number = int | float
type Steps = Annotated[int, Input(ge=1)]
type Row[T] = list[T]
type Words = Iterator[str]

class Predictor(BasePredictor):
    def predict(self, mode: Mode = "fast", number: Number = 1, steps: Steps = 2, row: Row[int] = [1]) -> Words:
        yield repr((mode, number, steps, row))
"""


@pytest.mark.parametrize(
    "version", [v for v in every() if tuple(map(int, v.split("."))) >= (3, 12)]
)
def test_a_type_statement_is_read_as_its_value(start, version):
    server = start(NAMED, python=every()[version])
    assert server.predict({"number": 1.5, "row": ["2"]}).json["output"] == ["('fast', 1.5, 2, [2])"]
    for wrong in ({"mode": "bad"}, {"number": "1"}, {"steps": 0}, {"row": ["x"]}):
        assert server.predict(wrong).status == 422


HELPERS = """
class Predictor:
    def run(self, anything):
        return anything * 2

    def predict(self, s: str) -> str:
        return self.run(s)
"""

WRAPPED = model_source("http/odd_models_wrapped")


def test_a_helper_called_run_is_not_a_second_method(start):
    assert start(HELPERS).predict({"s": "ab"}).json["output"] == "abab"


def test_decorators_without_wraps_are_called_and_do_not_hide_the_signature(start):
    server = start(WRAPPED)
    assert server.predict({"s": "a", "loud": "yes"}).json["output"] == "timed A A"
    assert server.predict({"s": 1}).status == 422


def test_a_decorator_that_hides_the_inputs_is_named(start):
    source = WRAPPED.replace("def again(self, *args, **kwargs)", "def again(self, s)").replace(
        "    @timed\n", ""
    )
    logs = start(source, ready=False)
    logs.wait_status("SETUP_FAILED")
    told = logs.health()["setup"]["logs"]
    assert (
        "the decorator times hides the inputs of predict: write @functools.wraps(function) above its def again"
        in told
    )


TRAINED = """
from cog import BasePredictor, Input

class Predictor(BasePredictor):
    def predict(self, s: str) -> str:
        return s

def train(epochs: int = Input(default=0, ge=1), rate: float = Input(default="0.5")) -> str:
    return repr((epochs, rate))
"""


def test_a_training_is_served_the_same_way(start):
    server = start(TRAINED)
    assert (
        "warning: predict.py:8: epochs: default=0 does not fit" in server.health()["setup"]["logs"]
    )
    assert server.ask("POST", "/trainings", {"input": {}}).json["output"] == "(0, 0.5)"
    assert server.ask("POST", "/trainings", {"input": {"epochs": 0}}).status == 422


KEYS = model_source("http/odd_models_keys")


def test_an_object_of_the_output_may_have_keys_that_become_strings(start):
    server = start(KEYS)
    assert server.predict({}).json["output"] == [
        {"scores": {"1": 1.0, "20": 0.5}, "shades": {"dark": {"true": 1}}}
    ]
    assert "scores" in server.predict({"bad": True}).json["error"]
