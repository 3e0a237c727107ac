"""Ids are never used as paths, and repeated ids: docs/http-api.md#ids-and-the-same-id-again."""

from __future__ import annotations

import http.client
import re
import threading
from urllib.parse import quote

import pytest

from servers import ROOT
from waiting import until

MODEL = (ROOT / "tests/models/counts.py").read_text()


@pytest.fixture(scope="module")
def server(start_once):
    return start_once(MODEL)


ODD = [
    "a",
    "A.b_c-9",
    "../../x",
    "/etc/passwd",
    "..",
    ".",
    ".hidden",
    "a b",
    "a\nb",
    "a\u0000b",
    "é😀",
    "a%2Fb",
    "~abc",
    "x" * 512,
    "é" * 256,
    "a/b/c",
    "//",
    "%",
    "CON",
    "-rf",
    "request-1.json",
    "a\\b",
    "a;b&c=d?e#f",
]


@pytest.mark.parametrize("id", ODD, ids=lambda i: repr(i)[:20])
def test_any_string_can_be_an_id(server, id):
    answer = server.predict({}, id=id)
    assert answer.status == 200 and answer.json["id"] == id
    path = f"/predictions/{quote(id, safe='')}"
    assert server.get(path).json["id"] == id
    again = server.ask("PUT", path, {"input": {}})
    assert again.status == 200 and again.json["output"] == answer.json["output"]
    assert server.ask("POST", path + "/cancel").json == {}


def test_nothing_is_written_outside_the_working_directory(start, tmp_path):
    server = start(MODEL, "--working-dir", str(tmp_path / "spool"))
    for id in ODD:
        assert server.predict({}, id=id).status == 200
    assert {p.name for p in tmp_path.iterdir()} == {"spool"}


def test_a_generated_id_is_26_lowercase_letters_and_digits(server):
    first, second = (server.predict({}).json["id"] for _ in range(2))
    assert re.fullmatch("[a-z2-7]{26}", first) and first != second


def test_the_id_of_the_body_must_match_that_of_the_path(server):
    answer = server.ask("PUT", "/predictions/one", {"id": "two"})
    assert answer.status == 422 and answer.json["detail"][0]["loc"] == ["body", "id"]
    assert server.ask("PUT", "/predictions/same", {"id": "same"}).status == 200


@pytest.mark.parametrize("id", ["x" * 513, "%C3%A9" * 257, "%FF", "a%C3"])
def test_a_path_id_that_is_too_long_or_not_unicode_is_refused(server, id):
    answer = server.ask("PUT", f"/predictions/{id}", {})
    assert answer.status == 422 and answer.json["detail"][0]["loc"] == ["path", "prediction_id"]
    assert server.get(f"/predictions/{id}").status == 404


def test_the_same_id_while_it_runs(server):
    before = server.predict({}).json["output"]
    first = server.ask("PUT", "/predictions/busy", {"input": {"s": 0.5}}, Prefer="respond-async")
    assert first.status == 202
    again = server.ask("PUT", "/predictions/busy", {"input": {"s": 0.5}})
    assert again.status == 202 and again.json["id"] == "busy" and again.json["input"] == {"s": 0.5}
    assert server.predict({}, id="busy").status == 409
    assert server.ended("busy")["output"] == before + 1
    assert server.predict({}).json["output"] == before + 2


def test_the_same_id_after_its_end(server):
    first = server.ask("PUT", "/predictions/over", {"input": {}}).json
    again = server.ask("PUT", "/predictions/over", {"input": {}})
    assert again.status == 200 and again.json == first
    other = server.ask("PUT", "/predictions/over", {"input": {"s": 0.01}}).json
    assert other["output"] == first["output"] + 1
    assert server.get("/predictions/over").json == other
    assert server.predict({}, id="over").json["output"] == first["output"] + 2


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ('{"input": {"s": 0}}', '{"input":{ "s" :0} }'),
        ('{"input": {"s": 0, "x": 1}}', '{"input": {"x": 1, "s": 0}}'),
        ("{}", '{"input": {}}'),
        ('{"input": null}', ""),
        ('{"input": {"s": 0}}', '{"input": {"s": 0}, "webhook": "http://127.0.0.1:1/"}'),
    ],
)
def test_these_inputs_count_as_the_same(server, first, second):
    path = f"/predictions/same-{abs(hash(first))}"
    once = server.ask("PUT", path, first, Content_Type="application/json").json
    assert server.ask("PUT", path, second, Content_Type="application/json").json == once


@pytest.mark.parametrize("other", ['{"input": {"s": 0.0}}', '{"input": {"s": 0, "more": 1}}', "{}"])
def test_these_inputs_count_as_different(server, other):
    path = f"/predictions/other-{abs(hash(other))}"
    once = server.ask("PUT", path, '{"input": {"s": 0}}', Content_Type="application/json").json
    assert (
        server.ask("PUT", path, other, Content_Type="application/json").json["output"]
        == once["output"] + 1
    )


def put_and_cut_off(server, id, body, cut_off):
    """A PUT whose client disconnects after ``cut_off`` returns."""
    client = http.client.HTTPConnection("127.0.0.1", server.port)
    client.request("PUT", f"/predictions/{id}", body, {"Content-Type": "application/json"})
    until("it runs", lambda: server.get(f"/predictions/{id}").json.get("status") == "processing")
    cut_off()
    client.close()


def test_a_put_repeated_after_a_disconnect_runs_again(server):
    body = '{"input": {"s": 1}}'
    put_and_cut_off(server, "cut", body, lambda: None)
    assert server.ended("cut")["status"] == "canceled"
    again = server.ask("PUT", "/predictions/cut", body, Content_Type="application/json")
    assert again.status == 200 and again.json["status"] == "succeeded"


def test_a_shared_prediction_continues_when_the_first_client_disconnects(server):
    body = '{"input": {"s": 1}}'

    def ask_too():
        told = server.ask("PUT", "/predictions/shared", body, Content_Type="application/json")
        assert (told.status, told.json["status"]) == (202, "processing")

    put_and_cut_off(server, "shared", body, ask_too)
    assert server.ended("shared")["status"] == "succeeded"


STUBBORN = """
import time
class Predictor:
    def predict(self) -> str:
        print("begun", flush=True)
        while True:
            try: time.sleep(60)
            except BaseException: pass
"""


def test_a_prediction_canceled_for_a_gone_client_is_not_shared(start):
    server = start(STUBBORN, "--cancel-grace", "2s")

    def begun():
        until("the model runs", lambda: "begun" in server.get("/predictions/left").json["logs"])

    put_and_cut_off(server, "left", "{}", begun)
    until("the server has noticed", (server.spool() / "cancel-left.json").exists)
    refused = server.ask("PUT", "/predictions/left", "{}")
    assert refused.status == 409 and "being canceled" in refused.json["detail"]
    assert refused.headers["retry-after"] == "1"
    assert server.ended("left")["status"] == "canceled"


def test_a_prediction_canceled_by_request_stays_canceled(server):
    asked = {"input": {"s": 60}}
    server.ask("PUT", "/predictions/stopped", asked, Prefer="respond-async")
    server.ask("POST", "/predictions/stopped/cancel", Prefer="wait")
    assert server.ask("PUT", "/predictions/stopped", asked).json["status"] == "canceled"


def test_20_puts_of_one_id_at_once_run_once(server):
    before = server.predict({}).json["output"]
    statuses = []

    def put() -> None:
        statuses.append(server.ask("PUT", "/predictions/crowd", {"input": {"s": 0.3}}).status)

    threads = [threading.Thread(target=put) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(set(statuses)) in ([200], [200, 202])
    assert server.ended("crowd")["output"] == before + 1
