"""The same id again, at any gateway: docs/http-api.md#ids-and-the-same-id-again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pytest

from queue_harness import ASYNC, runs


def put(server, id, headers=None, **given):
    return server.ask("PUT", f"/predictions/{id}", {"input": given}, **(headers or {}))


def test_put_again_at_another_gateway_answers_with_the_same_end(one, other, tmp_path):
    given = {"runs": str(tmp_path / "runs")}
    first, again = put(one, "twice", **given), put(other, "twice", **given)
    assert first.status == again.status == 200
    assert first.body == again.body
    assert len((tmp_path / "runs").read_text().split()) == 1


def test_put_with_another_input_runs_anew(one, other):
    assert put(one, "changed", name="a").json["output"] == "hello a"
    assert put(other, "changed", name="b").json["output"] == "hello b"
    assert one.get("/predictions/changed").json["output"] == "hello b"


def test_put_joins_what_runs(one, other, tmp_path):
    given = {"until": str(tmp_path / "end"), "runs": str(tmp_path / "runs")}
    assert put(one, "joined", ASYNC, **given).status == 202
    runs(other, "joined")
    again = put(other, "joined", **given)
    assert again.status == 202 and again.json["status"] == "processing"
    (tmp_path / "end").touch()
    assert other.ended("joined") == one.ended("joined")
    assert len((tmp_path / "runs").read_text().split()) == 1


def test_put_joins_what_waits(fleet, one, other, tmp_path):
    given = {"until": str(tmp_path / "end"), "runs": str(tmp_path / "runs")}
    for id in ("before-0", "before-1", "waits"):
        assert put(one, id, ASYNC, **given).status == 202
    runs(one, "before-0")
    runs(one, "before-1")
    again = put(other, "waits", ASYNC, **given)
    assert again.status == 202 and again.json["status"] == "starting"
    (tmp_path / "end").touch()
    assert one.ended("waits") == other.ended("waits")
    assert len((tmp_path / "runs").read_text().split()) == 3


def test_twenty_puts_at_once_are_one_run(fleet, tmp_path):
    given = {"runs": str(tmp_path / "runs"), "s": 0.1}

    def ask(n):
        return put([*fleet.gateways, *fleet.workers][n % 4], "raced", **given)

    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(ask, range(20)))
    assert {answer.status for answer in answers} <= {200, 202}
    assert {server.ended("raced")["output"] for server in fleet.gateways} == {"hello you"}
    assert len((tmp_path / "runs").read_text().split()) == 1


def test_twenty_posts_at_once_are_one_run_and_nineteen_conflicts(fleet, tmp_path):
    given = {"runs": str(tmp_path / "runs"), "until": str(tmp_path / "end")}

    def ask(n):
        return fleet.gateways[n % 2].predict(given, ASYNC, id="posted")

    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(ask, range(20)))
    assert sorted(answer.status for answer in answers) == [202] + [409] * 19
    (tmp_path / "end").touch()
    fleet.gateways[0].ended("posted")
    assert len((tmp_path / "runs").read_text().split()) == 1


def test_post_of_an_id_that_runs_or_waits_is_a_conflict(one, other, tmp_path):
    given = {"until": str(tmp_path / "end")}
    for id in ("busy-0", "busy-1", "busy-2"):
        assert one.predict(given, ASYNC, id=id).status == 202
    runs(one, "busy-0")
    runs(one, "busy-1")
    for id in ("busy-0", "busy-2"):
        for server in (one, other):
            refused = server.predict(given, id=id)
            assert refused.status == 409 and "with this id is running" in refused.json["detail"]
    (tmp_path / "end").touch()
    for id in ("busy-0", "busy-1", "busy-2"):
        other.ended(id)


def test_post_of_an_id_that_has_ended_runs_anew(one, other):
    assert one.predict({"name": "first"}, id="anew").json["output"] == "hello first"
    assert other.predict({"name": "second"}, id="anew").json["output"] == "hello second"
    assert one.get("/predictions/anew").json["output"] == "hello second"


def test_a_training_and_a_prediction_share_no_id(one, other, tmp_path):
    assert one.predict({"until": str(tmp_path / "end")}, ASYNC, id="either").status == 202
    runs(other, "either")
    assert other.ask("PUT", "/trainings/either", {"input": {}}).status == 409
    (tmp_path / "end").touch()
    one.ended("either")


@pytest.mark.parametrize("id", ["a.b", "a*b", ">", "é😀", "a b", "..%2F..%2Fx", "x" * 200])
def test_any_id_works(one, other, id):
    answer = one.predict({"name": "odd"}, id=id)
    assert answer.status == 200 and answer.json["id"] == id
    assert other.get(f"/predictions/{quote(id, safe='')}").json == answer.json


def test_an_id_can_run_anew_as_soon_as_its_end_is_known(one, other):
    for n in range(30):
        answer = put((one, other)[n % 2], "again", name=str(n))
        assert answer.status == 200 and answer.json["output"] == f"hello {n}"
