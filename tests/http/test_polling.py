"""GET of one prediction and of the list: docs/http-api.md#finished-predictions."""

from __future__ import annotations

import pytest

from waiting import until

MODEL = """
import time
from typing import Iterator
class Predictor:
    def predict(self, text: str = "", sleep: float = 0, log: int = 0, fail: bool = False) -> Iterator[str]:
        print("l" * log)
        yield text
        time.sleep(sleep)
        if fail:
            raise ValueError("boom")
"""
ASYNC = {"Prefer": "respond-async"}


@pytest.fixture(scope="module")
def server(start_once):
    return start_once(MODEL)


def test_a_running_prediction_shows_its_progress(server):
    server.predict({"text": "so far", "sleep": 60, "log": 3}, ASYNC, id="live")

    def begun():
        body = server.get("/predictions/live").json
        return body["output"] and body["logs"] and body  # which arrive on other paths

    body = until("it has printed and yielded", begun)
    assert (body["status"], body["output"], body["logs"]) == ("processing", ["so far"], "lll\n")
    assert body["completed_at"] is None and body["error"] is None
    assert server.get("/predictions").json["results"][0]["status"] == "processing"
    server.ask("POST", "/predictions/live/cancel")
    server.ended("live")


@pytest.mark.parametrize("input", [{"text": "x"}, {"fail": True}])
def test_a_finished_prediction_is_shown_as_it_was_answered(server, input):
    answer = server.predict(input, id="finished")
    again = server.get("/predictions/finished")
    assert again.status == 200 and again.body == answer.body


@pytest.mark.parametrize("path", ["unknown", "%00", "..%2Fx", "x" * 600])
def test_an_unknown_id_is_not_found_by_get(server, path):
    answer = server.get(f"/predictions/{path}")
    assert answer.status == 404 and isinstance(answer.json["detail"], str)


def test_the_list_is_newest_first_with_the_members_of_a_prediction(server):
    for n in range(3):
        server.predict({"text": str(n)}, id=f"list-{n}")
    page = server.get("/predictions").json
    assert set(page) == {"results", "next"}
    assert [p["id"] for p in page["results"][:3]] == ["list-2", "list-1", "list-0"]
    assert page["results"][0] == server.get("/predictions/list-2").json


def test_large_inputs_outputs_and_logs_are_left_out_of_the_list(server):
    def listed(id: str):
        return next(p for p in server.get("/predictions").json["results"] if p["id"] == id)

    server.predict({"text": "x" * 900}, id="small")
    assert listed("small") == server.get("/predictions/small").json
    server.predict({"text": "x" * 2000, "log": 3000}, id="large")
    shown, whole = listed("large"), server.get("/predictions/large").json
    assert shown["input"] is None and shown["output"] is None
    assert whole["logs"].endswith(shown["logs"]) and len(shown["logs"]) == 1024
    assert {k: v for k, v in shown.items() if k not in ("input", "output", "logs")} == {
        k: v for k, v in whole.items() if k not in ("input", "output", "logs")
    }


def test_pages_of_100_show_everything_once(start):
    server = start(MODEL)
    ids = [f"page {n} é/?&.%" for n in range(250)]
    for id in ids:
        server.predict({}, id=id)
    seen, cursor, pages = [], "", 0
    while cursor is not None:
        page = server.get(f"/predictions?cursor={cursor}").json
        seen += [p["id"] for p in page["results"]]
        cursor = page["next"]
        pages += 1
    assert seen == ids[::-1] and pages == 3


def test_a_page_continues_after_the_previous_one_despite_new_predictions(server):
    for n in range(101):
        server.predict({}, id=f"first {n}")
    cursor = server.get("/predictions").json["next"]
    for n in range(5):
        server.predict({}, id=f"later {n}")
    assert server.get(f"/predictions?cursor={cursor}").json["results"][0]["id"] == "first 0"


@pytest.mark.parametrize("cursor", ["nonsense", "%00", "%C3%A9", "YQ"])
def test_an_invalid_cursor_is_not_found(server, cursor):
    answer = server.get(f"/predictions?cursor={cursor}")
    assert answer.status == 404 and "cursor" in answer.json["detail"]
