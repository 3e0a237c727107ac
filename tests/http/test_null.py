"""null for an input whose default is None means None, for every type and every client:
docs/http-api.md#validation.
"""

from __future__ import annotations

import os
import re
import subprocess

import pytest

from model_sources import model_source
from servers import BINARY, real_python
from waiting import until

SHAPES = model_source("http/null_shapes")

INPUTS = """
        integer: int = Input(default=None, ge=1, le=5), number: float = Input(default=None, ge=0), boolean: bool = None,
        text: str = Input(default=None, min_length=2, regex="^a"), choice: str = Input(default=None, choices=["a", "b"]),
        number_choice: int = Input(default=None, choices=[8, 16]), literal: Literal["x", "y"] = None, shade: Shade = None,
        integers: List[int] = Input(default=None, ge=1, max_length=2), texts: List[str] = None, plain: list = None,
        path: Path = None, paths: List[Path] = None, file: File = None, secret: Secret = None, secrets: List[Secret] = None,
        anything: Any = None, object: dict = None, counts: Dict[str, int] = None, message: Message = None,
        either: Union[int, str] = None, box: Box = None, gate: str = None,
"""

NAMES = re.findall(r"(\w+): [A-Za-z]+[ \[]", INPUTS)

MODEL = f"""{SHAPES}
class Predictor(BasePredictor):
    def predict(self, {INPUTS}) -> str:
        return shown(locals())

def train({INPUTS}) -> str:
    return shown(locals())
"""


@pytest.fixture(scope="module")
def server(start_once):
    return start_once(MODEL)


@pytest.mark.parametrize("name", NAMES)
def test_null_is_none(server, name):
    answer = server.predict({name: None})
    assert (answer.status, answer.json.get("output")) == (200, "{}"), answer.body
    assert answer.json["input"] == {name: None}


@pytest.mark.parametrize("name", NAMES)
def test_the_schema_marks_inputs_that_accept_null(server, name):
    schemas = server.get("/openapi.json").json["components"]["schemas"]
    for kind in ("Input", "TrainingInput"):
        property = schemas[kind]["properties"][name]
        assert property["nullable"] is True and property.get("default") is None
        assert "required" not in schemas[kind]


ALL = dict.fromkeys(NAMES)


def test_every_input_can_be_null_at_once(server):
    assert server.predict(ALL).json["output"] == "{}"


@pytest.mark.parametrize(
    ("given", "output"),
    [
        (
            {"integer": "3", "text": "ab", "choice": "b"},
            "{'integer': 3, 'text': 'ab', 'choice': 'b'}",
        ),
        ({"boolean": "no", "integers": []}, "{'boolean': False, 'integers': []}"),
        ({"either": 5, "literal": "x"}, "{'literal': 'x', 'either': 5}"),
        ({"box": {"width": None}}, "{'box': Box(width=None, inner=None)}"),
        ({"box": {"inner": None}}, "{'box': Box(width=None, inner=None)}"),
        (
            {"box": {"inner": {"x": None, "files": None}}},
            "{'box': Box(width=None, inner=Inner(x=None, files=None))}",
        ),
        ({"box": {"inner": {"x": "2"}}}, "{'box': Box(width=None, inner=Inner(x=2, files=None))}"),
    ],
)
def test_a_given_value_is_used_instead_of_null(server, given, output):
    assert server.predict(given).json["output"] == output


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ({"integer": 0}, ["integer"]),
        ({"integer": ""}, ["integer"]),
        ({"text": "a"}, ["text"]),
        ({"choice": "c"}, ["choice"]),
        ({"number_choice": 9}, ["number_choice"]),
        ({"integers": [None]}, ["integers", 0]),
        ({"texts": ["a", None]}, ["texts", 1]),
        ({"paths": [None]}, ["paths", 0]),
        ({"counts": {"a": None}}, ["counts", "a"]),
        ({"message": {"role": None}}, ["message", "role"]),
        ({"box": {"inner": {"files": [None]}}}, ["box", "inner", "files", 0]),
    ],
)
def test_invalid_values_are_still_refused(server, given, place):
    answer = server.predict(given)
    assert answer.status == 422
    assert [problem["loc"] for problem in answer.json["detail"]] == [["body", "input", *place]]


def test_trainings_accept_null(server):
    answer = server.ask("POST", "/trainings", {"input": ALL})
    assert (answer.status, answer.json["output"]) == (200, "{}")


def test_v1_accepts_null(server):
    answer = server.ask(
        "POST", "/v1/predictions", {"version": "0" * 64, "input": ALL}, Prefer="wait"
    )
    assert (answer.status, answer.json["output"]) == (201, "{}")


def test_a_repeated_put_with_nulls_runs_once(server):
    first = server.ask("PUT", "/predictions/nulls", {"input": ALL}).json
    again = server.ask("PUT", "/predictions/nulls", {"input": ALL}).json
    assert first["output"] == "{}" and again["completed_at"] == first["completed_at"]


def test_null_is_recovered_after_a_restart(start, tmp_path):
    where = ("--working-dir", str(tmp_path / "spool"), "--recover", "rerun", "--max-queue", "4")
    gate = tmp_path / "gate"
    first = start(MODEL, *where)
    for id in ("runs", "waits"):
        first.predict({**ALL, "gate": str(gate)}, {"Prefer": "respond-async"}, id=id)
    until("one runs", lambda: first.get("/predictions/runs").json["status"] == "processing")
    first.kill()
    gate.touch()
    second = start(MODEL, *where, ready=False)
    for id in ("runs", "waits"):
        body = second.ended(id)
        assert (body["output"], body["input"]["integer"], body["input"]["secret"]) == (
            "{}",
            None,
            None,
        )


def test_the_command_line_accepts_null(tmp_path):
    (tmp_path / "predict.py").write_text(MODEL)
    command = [
        str(BINARY),
        "predict",
        str(tmp_path),
        "--predict",
        "predict.py:Predictor",
        "--python",
        real_python(),
    ]
    nulls = [
        word
        for name in ("integer", "boolean", "integers", "paths", "object", "box")
        for word in ("-i", f"{name}=null")
    ]
    done = subprocess.run(
        [*command, *nulls],
        capture_output=True,
        text=True,
        timeout=50,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert (done.returncode, done.stdout) == (0, "{}\n"), done.stderr


def test_a_batch_has_none_where_null_was_sent(start):
    server = start(
        """
from typing import List
from cog import BasePredictor, Input, batch
class Predictor(BasePredictor):
    @batch(max_size=2)
    def predict(self, text: List[str], seed: List[int] = Input(default=None)) -> List[str]:
        return [f"{t} {s}" for t, s in zip(text, seed)]
"""
    )
    assert server.predict({"text": "a", "seed": None}).json["output"] == "a None"
    assert server.predict({"text": None}).status == 422


OTHERS = """
from typing import Optional
from cog import BasePredictor, Input, Secret
class Predictor(BasePredictor):
    def predict(
        self, needed: int, zero: int = 0, empty: str = "", made: list = Input(default_factory=list), no: bool = False,
        secret: Secret = Input(default=""), optional: Optional[int] = 7,
    ) -> str:
        return f"{needed} {optional}"
"""


def test_null_is_refused_for_inputs_with_another_default(start):
    server = start(OTHERS)
    inputs = server.get("/openapi.json").json["components"]["schemas"]["Input"]["properties"]
    assert [name for name, property in inputs.items() if property.get("nullable")] == ["optional"]
    refused = ["needed", "zero", "empty", "made", "no", "secret"]
    answer = server.predict({**dict.fromkeys(refused), "optional": None})
    assert answer.status == 422
    assert sorted(problem["loc"][2] for problem in answer.json["detail"]) == sorted(refused)
    assert server.predict({"needed": 1, "optional": None}).json["output"] == "1 None"
