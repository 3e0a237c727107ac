"""Inputs that are models of pydantic, in both versions: the server fetches their files and never
shows their secrets.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from http_events import Stream
from model_sources import model_source
from servers import BINARY
from waiting import until

HUSH = "hush-hush-4711"
STARS = "**********"

HEAD = """
import dataclasses, os, pathlib
from typing import Any, Dict, FrozenSet, List, Literal, NamedTuple, Optional, Tuple, Union
from typing_extensions import TypedDict
import {library} as pydantic
from {library} import BaseModel, Field, SecretBytes, SecretStr
from {library}.dataclasses import dataclass
import cog
from cog import BasePredictor, File, Path, Secret
after = getattr(pydantic, "model_validator", lambda mode: pydantic.root_validator(skip_on_failure=True))(mode="after")
of_field = getattr(pydantic, "field_validator", None) or pydantic.validator
"""

#: The beginning of each model of this file.
LIBRARIES = ["pydantic", "pydantic.v1"]

FILES = model_source("http/pydantic_files")

#: The places of a file in the input, as JSON with FILE in its place.
PLACES = [
    '{"places": {"plain": FILE}}',
    '{"places": {"standard": FILE}}',
    '{"places": {"opened": FILE}}',
    '{"places": {"checked": FILE}}',
    '{"places": {"pair": [FILE, 1]}}',
    '{"places": {"many": [FILE]}}',
    '{"places": {"some": [FILE]}}',
    '{"places": {"by_name": {"a/b~c": FILE}}}',
    '{"places": {"tagged": {"kind": "upload", "file": FILE}}}',
    '{"places": {"either": FILE}}',
    '{"places": {"typed": {"file": FILE}}}',
    '{"places": {"named": [FILE, 2]}}',
    '{"places": {"record": {"file": FILE}}}',
    '{"places": {"own": {"file": FILE}}}',
    '{"places": {"ours": {"file": FILE}}}',
    '{"places": {"box": {"inner": [{"file": FILE}]}}}',
    '{"places": {"definitions": FILE}}',
    '{"own": {"file": FILE, "count": 2}}',
    '{"all": [{"file": FILE}]}',
]


def with_file(place, text):
    return json.loads(place.replace("FILE", json.dumps(text)))


@pytest.fixture(scope="module", params=LIBRARIES)
def files(request, start_once):
    return start_once(FILES.replace("LIBRARY", request.param), python=sys.executable)


@pytest.mark.parametrize("place", PLACES)
def test_a_file_is_fetched_at_any_place_of_the_input(files, place):
    answer = files.predict(with_file(place, "data:text/plain,hello"))
    assert (answer.status, answer.json["output"]) == (200, "hello"), answer.body


@pytest.mark.parametrize("text", ["/etc/passwd", "file:///etc/passwd", "etc/passwd", ""])
@pytest.mark.parametrize("place", PLACES)
def test_a_client_cannot_name_a_local_file(files, place, text):
    answer = files.predict(with_file(place, text))
    assert answer.status == 422, answer.body
    assert "URL" in answer.body.decode()


def test_a_string_next_to_files_stays_a_string(files):
    for text in ("/etc/passwd", "https://127.0.0.1:9/none"):
        answer = files.predict({"places": {"tagged": {"kind": "words", "file": text}}})
        assert (answer.status, answer.json["status"]) == (200, "succeeded"), answer.body
        assert text in answer.json["output"]


def test_an_input_of_type_url_is_not_fetched(files):
    answer = files.predict({"places": {"address": "https://127.0.0.1:9/none"}})
    assert (answer.status, answer.json["status"]) == (200, "succeeded"), answer.body
    assert "https://127.0.0.1:9/none" in answer.json["output"]


@pytest.mark.parametrize(
    ("tagged", "loc"),
    [
        ({"file": "data:,x"}, "kind"),
        ({"kind": "other", "file": "data:,x"}, "kind"),
        ({"kind": "upload"}, "file"),
    ],
    ids=json.dumps,
)
def test_the_tag_of_a_union_says_what_is_missing(files, tagged, loc):
    answer = files.predict({"places": {"tagged": tagged}})
    assert answer.status == 422
    assert [p["loc"] for p in answer.json["detail"]] == [["body", "input", "places", "tagged", loc]]


def test_files_are_fetched_again_for_predictions_of_a_killed_server(start, tmp_path):
    source = FILES.replace("LIBRARY", "pydantic").replace(
        "        return",
        '        while os.path.exists("hold"):\n            import time; time.sleep(0.01)\n        return',
    )
    flags = ("--working-dir", str(tmp_path / "spool"), "--recover=rerun")
    directory = tmp_path / "model"
    directory.mkdir()
    (directory / "hold").touch()
    first = start(source, *flags, python=sys.executable, model_dir=directory)
    asked = {"input": with_file(PLACES[8], "data:text/plain,hello")}
    first.ask("PUT", "/predictions/left", asked, Prefer="respond-async")
    until("it runs", lambda: first.get("/predictions/left").json["status"] == "processing")
    first.kill()
    (directory / "hold").unlink()
    second = start("", *flags, python=sys.executable, model_dir=directory)
    assert second.ended("left", 30)["output"] == "hello"


OTHERS = model_source("http/pydantic_others")

METHODS = {
    "async": "class Predictor(BasePredictor):\n    async def predict(self, work: Work) -> str:\n",
    "sync": "class Predictor(BasePredictor):\n    def predict(self, work: Work) -> str:\n",
    "batch": "class Predictor(BasePredictor):\n    @cog.batch(max_wait_ms=0)\n    def predict(self, work: List[Work]) -> List[str]:\n",
}


@pytest.mark.parametrize("kind", METHODS)
def test_every_path_and_every_kind_of_method_handles_files_and_secrets_alike(start, tmp_path, kind):
    body = (
        "[w.todo.file.read_text() for w in work]"
        if kind == "batch"
        else "work.todo.file.read_text()"
    )
    method = f"{METHODS[kind]}        print(work)\n        return {body}\n"
    (tmp_path / "cog.yaml").write_text(
        'predict: "predict.py:Predictor"\ntrain: "predict.py:train"\n'
    )
    source = OTHERS.replace("LIBRARY", "pydantic").replace("# METHOD", method)
    server = start(source, python=sys.executable, model_dir=tmp_path)
    work = {"work": {"todo": {"kind": "job", "file": "data:text/plain,hello", "token": HUSH}}}
    refused = {"work": {"todo": {"kind": "job", "file": "/etc/passwd", "token": HUSH}}}
    for verb, path, prefer in (
        ("POST", "/predictions", "wait"),
        ("PUT", "/predictions/put", "wait"),
        ("POST", "/predictions", "respond-async"),
        ("POST", "/v1/predictions", "wait"),
        ("POST", "/trainings", "wait"),
        ("PUT", "/trainings/put", "wait"),
    ):
        answer = server.ask(verb, path, {"input": refused}, Prefer=prefer)
        assert answer.status == 422 and HUSH.encode() not in answer.body, (path, answer.body)
        answer = server.ask(verb, path, {"input": work}, Prefer=prefer)
        assert answer.status < 300, answer.body
        ended = server.ended(answer.json["id"]) if "predictions" in path else answer.json
        assert ended["output"] == "hello", ended
        assert HUSH not in json.dumps([answer.json, ended]) and STARS in json.dumps(ended["input"])
    assert HUSH not in server.log()


def test_the_command_line_fetches_files_and_masks_secrets_too(tmp_path):
    method = "class Predictor(BasePredictor):\n    def predict(self, work: Work) -> str:\n        return work.todo.file.read_text()\n"
    (tmp_path / "predict.py").write_text(
        OTHERS.replace("LIBRARY", "pydantic").replace("# METHOD", method)
    )
    command = [
        BINARY,
        "predict",
        tmp_path,
        "--python",
        sys.executable,
        "--predict",
        "predict.py:Predictor",
        "--json",
        "-i",
    ]
    for file, code, want in (
        ("data:text/plain,hello", 0, '"hello"'),
        ("/etc/passwd", 2, "-i work.todo.file: must be an http"),
    ):
        work = json.dumps({"todo": {"kind": "job", "file": file, "token": HUSH}})
        done = subprocess.run(
            [*command, f"work={work}"], capture_output=True, text=True, timeout=60
        )
        assert (done.returncode, want in done.stdout + done.stderr) == (code, True), done
        assert HUSH not in done.stdout + done.stderr


UNSEEN = model_source("http/pydantic_unseen")


@pytest.fixture(scope="module")
def unseen(start_once, tmp_path_factory):
    directory = tmp_path_factory.mktemp("unseen")
    (directory / "own.txt").write_text("of the author")
    return start_once(
        UNSEEN.replace("LIBRARY", "pydantic"), python=sys.executable, model_dir=directory
    )


@pytest.mark.parametrize(
    "input",
    [
        {"odd": {"file": "/etc/passwd"}},
        {"odd": {"standard": "/etc/passwd"}},
        {"odd": {"standard": " /etc//passwd"}},
        {"odd": {"opened": "/etc/passwd"}},
        {"odd": {"opened": "http://127.0.0.1:9/"}},
        {"odd": {"anything": ["/etc/passwd"]}},
        {"odd": {"within": '["/etc/passwd"]'}},
        {"odd": {"within": '["\\u002fetc/passwd"]'}},
        {"called": {"standard": "/etc/passwd"}},
        {"called": {"file": "/etc/passwd"}},
    ],
    ids=json.dumps,
)
def test_the_runner_refuses_a_path_that_the_server_did_not_fetch(unseen, input):
    answer = unseen.predict(input)
    assert (answer.status, answer.json["status"], answer.json["output"]) == (200, "failed", None), (
        answer.body
    )
    assert "must be an http://, https:// or data: URL" in answer.json["error"]


def test_a_default_may_be_the_path_of_a_local_file_of_the_author(unseen):
    answer = unseen.predict({"given": {}})
    assert answer.json["output"] == "['of the author', 'of the author']", answer.body


REFUSED = {
    "a file inside a string of JSON": (
        "class In(BaseModel):\n    x: pydantic.Json[Dict[str, Path]]",
        "In", r"x: contentSchema: a file inside a string of JSON cannot be fetched: take the object itself",
    ),
    "a model that contains itself": (
        "class In(BaseModel):\n    file: Path\n    next: Optional['In'] = None",
        "In", r"x: In contains itself",
    ),
    "a keyword that is not checked": (
        'class In(BaseModel):\n    x: Dict[str, Any] = Field(json_schema_extra={"dependentSchemas": {"a": {"required": ["b"]}}})',
        "In", r'x: the server does not check the keyword "dependentSchemas": take it out',
    ),
    "a type that has no schema": (
        "class In(BaseModel):\n    model_config = dict(arbitrary_types_allowed=True)\n    x: BasePredictor",
        "In", r"x: pydantic has no schema of In: Cannot",
    ),
}  # fmt: skip


@pytest.mark.parametrize("title", REFUSED)
def test_uncheckable_constraints_are_refused_when_the_model_is_loaded(start, title):
    source, kind, message = REFUSED[title]
    method = f"class Predictor(BasePredictor):\n    def predict(self, x: {kind}) -> str:\n        return 'x'\n"
    server = start(
        f"{HEAD.format(library='pydantic')}{source}\n{method}", python=sys.executable, ready=False
    )
    until("it says why", lambda: server.health()["status"] == "SETUP_FAILED")
    said = server.health()["setup"]["logs"] + server.log()
    assert re.search(message, said), said


SECRETS = model_source("http/pydantic_secrets")


def secrets_of(library):
    source = SECRETS
    if library == "pydantic":  # in this version such a validator is a method of the object
        source = re.sub(r"(@after\n    def \w+)\(cls, values\)", r"\1(values)", source)
    return source.replace("LIBRARY", library)


@pytest.fixture(scope="module", params=LIBRARIES)
def secrets(request, start_once, tmp_path_factory):
    directory = str(tmp_path_factory.mktemp("spool"))
    flags = ("--working-dir", directory, "--log-level", "debug")
    made = start_once(secrets_of(request.param), *flags, python=sys.executable)
    yield made
    assert HUSH not in made.log(), "the server's own log shows the secret"


#: The places of a secret in the input, as JSON with SECRET in its place.
HIDDEN = [
    '{"given": {"plain": SECRET}}',
    '{"given": {"raw": SECRET}}',
    '{"given": {"ours": SECRET}}',
    '{"given": {"pair": [SECRET, 1]}}',
    '{"given": {"many": ["x", SECRET]}}',
    '{"given": {"by_name": {"a/b": SECRET}}}',
    '{"given": {"login": {"by": {"kind": "key", "token": SECRET}}}}',
    '{"given": {"login": {"by": {"kind": "user", "name": "u", "password": SECRET}}}}',
    '{"given": {"either": [SECRET]}}',
    '{"given": {"either": {"token": SECRET}}}',
    '{"given": {"own": {"token": SECRET}}}',
    '{"given": {"Aliased": SECRET}}',
    '{"given": {"aliased": SECRET}}',
    '{"checked": {"token": SECRET}}',
    '{"standard": {"token": SECRET}}',
    '{"text": SECRET}',
    '{"raw": SECRET}',
]


@pytest.mark.parametrize("place", HIDDEN)
def test_a_secret_is_masked_at_any_place_of_the_input(secrets, receiver, place):
    asked = json.loads(place.replace("SECRET", json.dumps(HUSH)))
    answer = secrets.predict(asked, webhook=receiver.url)
    assert (answer.status, answer.json["status"]) == (200, "succeeded"), answer.body
    id = answer.json["id"]
    receiver.wait_terminal()
    with Stream(secrets.port, "GET", f"/predictions/{id}/stream") as stream:
        streamed = "".join(event.text for event in stream)
    pages = ["/predictions", f"/predictions/{id}", f"/v1/predictions/{id}", "/v1/predictions"]
    shown = [answer.body, *receiver.bodies, *(secrets.get(page).body for page in pages)]
    assert not any(HUSH.encode() in body for body in shown)
    assert HUSH not in streamed and STARS in streamed
    assert all(STARS.encode() in body for body in shown)
    assert STARS in answer.json["logs"] or "aliased" in place
    for file in secrets.spool().rglob("*"):
        assert not file.is_file() or HUSH.encode() not in file.read_bytes(), file


@pytest.mark.parametrize(
    "input",
    [
        {"given": {"plain": HUSH, "size": 9}},
        {"given": {"login": {"by": {"kind": "key", "token": HUSH}}, "size": 9}},
        {"given": {"plain": f"bad {HUSH}"}},
        {"given": {"plain": "bad"}},
        {"standard": {"token": HUSH, "size": 9}},
    ],
    ids=json.dumps,
)
def test_a_refusal_by_a_validator_of_the_model_shows_the_place_and_not_the_input(secrets, input):
    answer = secrets.predict(input)
    assert answer.json["status"] == "failed"
    assert HUSH.encode() not in answer.body
    error = answer.json["error"]
    assert "too much" in error or re.search(
        rf"plain: .*not this one: {re.escape(STARS)}$", error
    ), error
    assert not re.search(r"input_value|For further|'login'", error + answer.json["logs"])


@pytest.mark.parametrize("end", [HUSH, f"cause {HUSH}"])
def test_the_traceback_of_a_validation_in_the_model_does_not_show_the_secret(secrets, end):
    answer = secrets.predict({"end": end})
    shown = answer.json["error"] + answer.json["logs"]
    assert answer.json["status"] == "failed" and HUSH not in shown
    assert re.search("Given: .*size: ", shown) and "ValidationError" in shown


@pytest.mark.parametrize(
    "input",
    [
        {"given": {"plain": [HUSH]}},
        {"given": {"pair": [HUSH]}},
        {"given": {"pair": [HUSH, HUSH]}},
        {"given": {"by_name": {"a": {"b": HUSH}}}},
        {"given": {"by_name": HUSH}},
        {"given": {"login": {"by": {"kind": HUSH}}}},
        {"given": {"login": {"by": {"kind": "key", "token": {"x": HUSH}}}}},
        {"given": {"login": {"by": {"kind": "user", "name": 5, "password": HUSH}}}},
        {"given": {"either": HUSH}},
        {"given": {"own": HUSH}},
        {"standard": HUSH},
    ],
    ids=json.dumps,
)
def test_a_refusal_by_the_server_does_not_show_the_secret(secrets, input):
    answer = secrets.predict(input)
    assert answer.status == 422
    assert HUSH.encode() not in answer.body


def test_secrets_that_the_schema_does_not_mark_are_masked_too(start):
    source = (
        HEAD
        + """
class Pin(BaseModel):
    number: pydantic.Secret[int]
    codes: List[pydantic.Secret[int]] = Field(default=[], alias="Codes")
class Predictor(BasePredictor):
    def predict(self, pin: Pin) -> int:
        return pin.number.get_secret_value() + len(pin.codes)
"""
    )
    server = start(source.format(library="pydantic"), python=sys.executable)
    answer = server.predict({"pin": {"number": 4711, "Codes": [4712]}})
    assert answer.json["output"] == 4712
    assert answer.json["input"] == {"pin": {"number": STARS, "Codes": STARS}}
    refused = server.predict({"pin": {"number": "x4711"}})
    assert refused.status == 422 and b"4711" not in refused.body


def test_the_document_contains_no_default_of_a_secret(start):
    source = (
        HEAD
        + """
class In(BaseModel):
    text: SecretStr = "built in"
    ours: Secret = Secret("built in")
    by_name: Dict[str, SecretStr] = {{"a": "built in"}}
class Predictor(BasePredictor):
    def predict(self, x: In = None) -> str:
        return "x"
"""
    )
    server = start(source.format(library="pydantic"), python=sys.executable)
    assert b"built in" not in server.get("/openapi.json").body
