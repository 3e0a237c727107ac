"""/openapi.json describes requests and answers as the server handles them."""

from __future__ import annotations

import pytest

MODEL = """
from typing import List
from cog import BasePredictor, Input
class Predictor(BasePredictor):
    def predict(self, {name}flag: bool = False, flags: List[bool] = Input(default=[])) -> str:
        return str([flag, *flags])
"""


def document(server):
    return server.get("/openapi.json").json


def body_of(document, method, path):
    body = document["paths"][path][method]["requestBody"]
    schema = body["content"]["application/json"]["schema"]
    name = schema.get("$ref", "").rpartition("/")[2]
    return body, document["components"]["schemas"][name] if name else schema


@pytest.fixture(scope="module")
def server(start_once):
    return start_once(MODEL.format(name=""))


@pytest.fixture(scope="module")
def demanding(start_once):
    return start_once(MODEL.format(name="name: str, "))


def test_an_input_is_required_when_a_parameter_has_no_default(server, demanding):
    for method, path in (("post", "/predictions"), ("put", "/predictions/{prediction_id}")):
        body, schema = body_of(document(demanding), method, path)
        assert body["required"] and schema["required"] == ["input"]
        assert "nullable" not in schema["properties"]["input"]
        body, schema = body_of(document(server), method, path)
        assert "required" not in body and "required" not in schema
        assert schema["properties"]["input"]["nullable"] is True
    assert demanding.predict().status == 422 and server.predict().status == 200


def test_the_id_of_a_put_is_only_in_its_path(server):
    assert (
        "id"
        not in body_of(document(server), "put", "/predictions/{prediction_id}")[1]["properties"]
    )
    assert "id" in body_of(document(server), "post", "/predictions")[1]["properties"]


def test_the_documented_words_for_a_boolean_are_those_that_are_accepted(server):
    _, schema = body_of(document(server), "post", "/predictions")
    loose = schema["properties"]["input"]["properties"]
    words = loose["flag"]["anyOf"][1]["enum"]
    assert words == loose["flags"]["items"]["anyOf"][1]["enum"]
    for word in words:
        assert server.predict({"flag": word, "flags": [word]}).status == 200
    assert (
        document(server)["components"]["schemas"]["Input"]["properties"]["flag"]["type"]
        == "boolean"
    )


def test_the_output_is_a_bare_reference_as_clients_of_cog_expect(start):
    server = start(
        MODEL.format(name="") + "    def train(self) -> str:\n        return 'weights'\n"
    )
    for noun, kind in (("prediction", "Prediction"), ("training", "Training")):
        found = document(server)
        answers = found["paths"][f"/{noun}s"]["post"]["responses"]
        assert answers["200"]["content"]["application/json"]["schema"] == {
            "$ref": f"#/components/schemas/{kind}Response"
        }
        response = found["components"]["schemas"][f"{kind}Response"]["properties"]
        name = "Output" if noun == "prediction" else "TrainingOutput"
        assert response["output"] == {"$ref": f"#/components/schemas/{name}"}


def test_every_route_of_predictions_is_documented(server):
    paths = document(server)["paths"]
    assert set(paths["/predictions"]) == {"get", "post"}
    assert set(paths["/predictions/{prediction_id}"]) == {"get", "put"}
    assert set(paths["/predictions/{prediction_id}/cancel"]) == {"post"}
    for status in (
        "200",
        "202",
        "400",
        "401",
        "406",
        "408",
        "409",
        "413",
        "415",
        "422",
        "429",
        "503",
    ):
        assert status in paths["/predictions"]["post"]["responses"]


def test_the_document_describes_the_model_and_every_request(start, tmp_path):
    directory = tmp_path / "greeter"
    directory.mkdir()
    source = '''
class Predictor:
    def predict(self, n: int = 1) -> str:
        """Greet somebody.

        Twice:
            if asked.
        """
        return "x"
def train(n: int = 1) -> str:
    return "x"
'''
    server = start(source, model_dir=directory)
    found = document(server)
    assert found["info"] == {
        "title": "Cog",
        "version": "0.1.0",
        "description": "Greet somebody.\n\nTwice:\n    if asked.",
    }
    assert found["x-coggo-model"] == "greeter"
    paths = found["paths"]
    for path in ("/livez", "/readyz", "/health-check", "/metrics", "/queue"):
        assert "get" in paths[path]
    for noun in ("prediction", "training"):
        for path in (f"/{noun}s", f"/{noun}s/{{{noun}_id}}", f"/{noun}s/{{{noun}_id}}/stream"):
            assert "get" in paths[path]
    served = {path for path in paths if "{" not in path and "get" in paths[path]}
    assert {server.get(path).status for path in served - {"/queue", "/models"}} == {200}
    for path in ("/queue", "/models"):
        assert server.get(path).status in (200, 404), "404 without --queue"


def test_v1_has_its_own_document(start):
    server = start(MODEL.format(name="name: str, "))
    found = server.get("/v1/openapi.json", X_Forwarded_Prefix="/a").json
    assert found["servers"] == [{"url": "/a/v1"}]
    operations = {
        operation["operationId"] for path in found["paths"].values() for operation in path.values()
    }
    assert {
        "predictions.create",
        "models.versions.get",
        "files.list",
        "predictions.stream",
    } <= operations
    schemas = found["components"]["schemas"]
    assert "Input" in schemas and "schemas_prediction_response" in schemas

    def named(value):
        if isinstance(value, dict):
            yield from ([value["$ref"]] if isinstance(value.get("$ref"), str) else [])
            for member in value.values():
                yield from named(member)
        if isinstance(value, list):
            for member in value:
                yield from named(member)

    for ref in set(named(found)):
        at = found
        for step in ref.removeprefix("#/").split("/"):
            at = at[step]
