"""Content types, the envelope, and the Prefer header: docs/http-api.md#creating-a-prediction."""

from __future__ import annotations

import json

import pytest

MODEL = """
import json
from cog import BasePredictor, current_scope
class Predictor(BasePredictor):
    def predict(self, name: str = "you") -> str:
        return json.dumps([name, current_scope().context])
"""


@pytest.fixture(scope="module")
def server(start_once):
    return start_once(MODEL)


JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (None, {}),
        ("", {}),
        ("", JSON),
        ("{}", JSON),
        ('{"input": {}}', JSON),
        ('{"input": null}', JSON),
        ('{"input": {"name": "you"}}', {}),
        ('{"input": {}}', {"Content-Type": "application/json; charset=utf-8"}),
        ('{"input": {}}', {"Content-Type": "Application/JSON"}),
        ('{"input": {}}', {"Content-Type": "application/vnd.api+json"}),
        (
            '{"id": null, "webhook": null, "webhook_events_filter": null, "context": null, "created_at": null}',
            JSON,
        ),
        ('{"id": "", "webhook": "", "output_file_prefix": "", "created_at": ""}', JSON),
        ('{"unknown": [1, {"input": 5}]}', JSON),
        (' \n{"input": {} }\n ', JSON),
        ('\ufeff{"input": {}}', JSON),
        ('{"input": {}}', {**JSON, "Content-Encoding": "identity"}),
        (None, {"Content-Type": "text/plain"}),
        ('{"input": {"name": "first"}, "input": {}}', JSON),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_request_with_every_default(server, method, body, headers):
    path = "/predictions" if method == "POST" else f"/predictions/{abs(hash((body, str(headers))))}"
    answer = server.ask(method, path, body, **headers)
    assert answer.status == 200, answer.body
    assert answer.json["output"] == '["you", {}]'


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "multipart/form-data", "application/x-www-form-urlencoded", "nonsense", "a/b/c"],
)
def test_another_content_type_is_refused(server, kind):
    answer = server.ask("POST", "/predictions", '{"input": {}}', Content_Type=kind)
    assert answer.status == 415
    assert isinstance(answer.json["detail"], str)


@pytest.mark.parametrize(
    "body",
    [
        "{",
        '{"input": ',
        "nope",
        '{"a": 1,}',
        "{} {}",
        "{'input': {}}",
        '{"input": {"name": "\\ud800"}}',
        '{"x": NaN}',
    ],
)
def test_malformed_json_is_refused(server, body):
    answer = server.ask("POST", "/predictions", body, **JSON)
    assert answer.status == 400
    assert isinstance(answer.json["detail"], str)


@pytest.mark.parametrize(
    ("body", "loc"),
    [
        ("[]", ["body"]),
        ('"text"', ["body"]),
        ("5", ["body"]),
        ("null", ["body"]),
        ({"input": []}, ["body", "input"]),
        ({"input": "x"}, ["body", "input"]),
        ({"input": ""}, ["body", "input"]),
        ({"context": ""}, ["body", "context"]),
        ({"webhook_events_filter": ""}, ["body", "webhook_events_filter"]),
        ({"id": 5}, ["body", "id"]),
        ({"id": "x" * 513}, ["body", "id"]),
        ({"context": []}, ["body", "context"]),
        ({"context": {"a": 1}}, ["body", "context", "a"]),
        ({"context": {"a": None}}, ["body", "context", "a"]),
        ({"webhook": 5}, ["body", "webhook"]),
        ({"webhook": "nope"}, ["body", "webhook"]),
        ({"webhook": "ftp://example.com"}, ["body", "webhook"]),
        ({"webhook": "http://"}, ["body", "webhook"]),
        ({"webhook": "http://:80/"}, ["body", "webhook"]),
        ({"webhook": "http://a b/"}, ["body", "webhook"]),
        ({"webhook": "http://localhost:99999/"}, ["body", "webhook"]),
        ({"webhook": "//example.com/hook"}, ["body", "webhook"]),
        ({"webhook": "file:///etc/passwd"}, ["body", "webhook"]),
        ({"webhook": "https://h\u009b/"}, ["body", "webhook"]),
        ({"webhook": "https://example.com/\r\nX: y"}, ["body", "webhook"]),
        ({"webhook_events_filter": "start"}, ["body", "webhook_events_filter"]),
        ({"webhook_events_filter": ["start", "nope"]}, ["body", "webhook_events_filter", 1]),
        ({"webhook_events_filter": [3]}, ["body", "webhook_events_filter", 0]),
        ({"created_at": "yesterday"}, ["body", "created_at"]),
        ({"created_at": 5}, ["body", "created_at"]),
        ({"created_at": "2026-02-30T03:04:05Z"}, ["body", "created_at"]),
        ({"created_at": "2026-01-02T25:04:05Z"}, ["body", "created_at"]),
        ({"output_file_prefix": "nope"}, ["body", "output_file_prefix"]),
    ],
)
def test_a_bad_envelope_is_refused(server, body, loc):
    text = body if isinstance(body, str) else json.dumps(body)
    answer = server.ask("POST", "/predictions", text, **JSON)
    assert answer.status == 422, answer.body
    assert answer.json["detail"][0]["loc"] == loc


@pytest.mark.parametrize("empty", ["", None])
def test_an_empty_string_counts_as_absent(server, receiver, empty):
    """Forms and typed clients send an empty string for an omitted field."""
    body = server.predict(
        {}, id=empty, created_at=empty, webhook=empty, output_file_prefix=empty
    ).json
    assert (
        body["status"] == "succeeded"
        and len(body["id"]) == 26
        and body["created_at"] <= body["started_at"]
    )
    put = server.ask(
        "PUT",
        f"/predictions/named-{empty}",
        {"id": empty, "created_at": empty, "webhook": receiver.url},
    )
    assert put.json["id"] == f"named-{empty}" and put.json["created_at"] <= put.json["started_at"]
    assert receiver.wait_terminal() == put.json
    below = server.ask(
        "POST", "/v1/predictions", {"version": "", "id": empty, "webhook": empty}, Prefer="wait"
    )
    assert (below.status, below.json["status"]) == (201, "succeeded")


def test_context_reaches_the_model(server):
    answer = server.predict({}, context={"user": "u1", "é": "ü"})
    assert json.loads(answer.json["output"]) == ["you", {"user": "u1", "é": "ü"}]


def test_a_compressed_body_is_refused(server):
    answer = server.ask("POST", "/predictions", b"\x1f\x8b", Content_Encoding="gzip", **JSON)
    assert answer.status == 415 and "gzip" in answer.json["detail"]


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-02T03:04:05+02:00",
        "2026-01-02T03:04:05Z",
        "2026-01-02t03:04:05z",
        "2026-01-02T03:04:05.123456789Z",
        "2026-01-02 03:04:05",
        "2026-01-02T03:04",
        "2026-01-02",
        "20260102T030405Z",
    ],
)
def test_created_at_is_echoed(server, text):
    assert server.predict({}, created_at=text).json["created_at"] == text


@pytest.mark.parametrize(
    ("prefer", "status"),
    [
        ("respond-async", 202),
        ("Respond-Async", 202),
        ("respond-async, wait=5", 202),
        ("wait=5, respond-async", 202),
        ("return=minimal, respond-async;foo=bar", 202),
        ("wait", 200),
        ("wait=5", 200),
        ("return=minimal", 200),
        ("respond-asynchronously", 200),
        ('foo="a, respond-async"', 200),
        ('foo="a\\", b", respond-async', 202),
        ("wait=nonsense", 200),
        ("wait=100000", 200),
        ("", 200),
    ],
)
def test_prefer_is_a_list(server, prefer, status):
    answer = server.predict({}, {"Prefer": prefer})
    assert answer.status == status
    assert server.ended(answer.json["id"])["status"] == "succeeded"


def test_async_needs_no_webhook_and_a_webhook_no_async(server, receiver):
    assert server.predict({}, {"Prefer": "respond-async"}).status == 202
    server.wait_status("READY")
    assert server.predict({}, webhook=receiver.url).json["status"] == "succeeded"
    receiver.wait_terminal()


OPEN = """
from typing import Any
from cog import BasePredictor
class Predictor(BasePredictor):
    def predict(self, **inputs: Any) -> str:
        return str(sorted(inputs))
def train(steps: int, seed: int = 1) -> str:
    return "trained"
"""


@pytest.mark.parametrize(
    "rest", ['"webhook": null', f'"version": "{0:064}"', '"other": 1', '"input": null']
)
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/predictions"), ("PUT", "/predictions/a"), ("POST", "/v1/predictions")],
)
def test_inputs_next_to_input_are_refused_with_the_remedy(server, method, path, rest):
    answer = server.ask(method, path, f'{{{rest}, "name": "me"}}', **JSON)
    told = 'Field required: put the inputs under "input", as in {"input": {"name": …}}'
    assert answer.status == 422
    if path.startswith("/v1"):
        assert answer.json["invalid_fields"] == [
            {"type": "missing", "field": "input", "description": told}
        ]
    else:
        assert answer.json["detail"] == [{"loc": ["body", "input"], "msg": told, "type": "missing"}]


@pytest.mark.parametrize("typo", ["inputs", "Input", "INPUTS"])
def test_a_misspelt_input_is_refused_with_the_remedy(server, typo):
    answer = server.ask("POST", "/predictions", {typo: {"name": "me"}})
    assert answer.status == 422
    told = f'Field required: the inputs belong under "input", not "{typo}"'
    assert answer.json["detail"] == [{"loc": ["body", "input"], "msg": told, "type": "missing"}]
    assert told in answer.json["error"]


@pytest.mark.parametrize(
    "body",
    [
        {"input": {}, "name": "me"},
        {"input": {"name": "you"}, "inputs": {}},
        {"version": "x", "stream": True},
        {"webhook_events_filter": []},
    ],
)
def test_unknown_members_next_to_an_input_are_ignored(server, body):
    answer = server.ask("POST", "/predictions", body)
    assert (answer.status, answer.json["output"]) == (200, '["you", {}]')


def test_inputs_of_a_training_next_to_input_are_refused_with_the_remedy(start):
    server = start(OPEN)
    answer = server.ask("POST", "/trainings", {"seed": 3, "steps": 3})
    told = 'Field required: put the inputs under "input", as in {"input": {"seed": …}}'
    assert (answer.status, answer.json["detail"][0]["msg"]) == (422, told)
    assert (
        server.ask("POST", "/predictions", {"steps": 3}).json["output"] == "[]"
    )  # the model accepts any input, so there is no name to suggest
    assert server.ask("POST", "/predictions", {"inputs": {"steps": 3}}).status == 422
