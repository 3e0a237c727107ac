"""The output text of a model goes to its pipe or into its events."""

from __future__ import annotations

import pytest

from runner.conftest import Start
from waiting import until

#: With more than one prediction at once the text of each is in its events.
MANY = ("--max-concurrency", "2")


def test_synchronous_model_writes_to_the_pipes_before_its_response(shared: Start) -> None:
    r = shared("logs.py:writes")
    id = r.send("a", {"text": "hello"})
    r.response(id)
    text = "hello\nto stderr\nto the log\nto the descriptor\nfrom a child\nno newline"
    until("the text", lambda: r.lent.text == text, 5)
    assert r.events(id) == []


def test_text_of_an_async_model_is_in_its_events(shared: Start) -> None:
    r = shared("logs.py:async_writes", *MANY)
    id = r.predict({"text": "hello"})["id"]
    by_source = dict.fromkeys(("stdout", "stderr"), "")
    for event in r.events(id, "log"):
        by_source[event["source"]] += event["data"]
    assert by_source == {
        "stdout": "hello\nbytes é\na b\nno newline",
        "stderr": "to stderr\nto the log\n",
    }
    assert r.stdout.text == ""


def test_events_keep_the_order_of_both_streams(shared: Start) -> None:
    r = shared("logs.py:async_writes", *MANY)
    assert (
        r.log(r.predict({"text": "hello"})["id"])
        == "hello\nto stderr\nto the log\nbytes é\na b\nno newline"
    )


def test_async_model_with_one_prediction_at_once_writes_to_its_pipe(shared: Start) -> None:
    r = shared("logs.py:async_writes")
    id = r.predict({"text": "hello"})["id"]
    until(
        "the text",
        lambda: r.lent.text == "hello\nto stderr\nto the log\nbytes é\na b\nno newline",
        5,
    )
    assert r.events(id) == []


def test_thread_writes_for_its_prediction_unless_it_is_given_an_empty_context(
    shared: Start,
) -> None:
    r = shared("logs.py:threads", *MANY)
    assert r.log(r.predict({"text": "mine"})["id"]) == "mine\nmine as well\nmine too\n"
    until("the other text", lambda: r.stdout.text == "nobody's\n")


def test_256_predictions_at_once_each_have_their_own_text(runner: Start) -> None:
    r = runner("logs.py:own_lines", "--max-concurrency", "256")
    ids = [r.send(f"id{n}", {"text": f"id{n}", "count": 100}) for n in range(256)]
    for id in ids:
        assert r.response(id, 60)["output"] == id
        assert r.log(id) == "".join(f"{id} {n}\n" for n in range(100))
    assert r.stdout.text == ""


def test_20000_lines_are_all_there_in_order(shared: Start) -> None:
    r = shared("logs.py:many_lines", *MANY)
    id = r.predict({"text": "line", "count": 20_000})["id"]
    assert r.log(id) == "".join(f"line {n}\n" for n in range(20_000))
    assert all(len(event["data"]) < 100_000 for event in r.events(id))


def test_text_arrives_while_the_prediction_runs(runner: Start) -> None:
    r = runner("logs.py:waits", *MANY)
    r.send("a", {"text": "hello"})
    until("the text", lambda: r.log("a") == "hello before\n")
    assert r.get("response-a.json") is None


def test_progress_bar_is_passed_on_as_it_is(shared: Start) -> None:
    r = shared("logs.py:bar", *MANY)
    assert r.log(r.predict({"text": "step"})["id"]) == "\rstep 0\rstep 1\rstep 2"


def test_any_text_gets_through_without_lone_surrogates(shared: Start) -> None:
    r = shared("logs.py:exact", *MANY)
    assert r.log(r.predict({"text": ""})["id"]) == "a\ufffdb\0é😀\u2028"


def test_partial_line_before_an_error_is_kept(shared: Start) -> None:
    r = shared("logs.py:fails", *MANY)
    response = r.predict({"text": "half a line"})
    assert response["error"] == "after the text"
    assert r.log(response["id"]) == "half a line"


def test_text_of_setup_and_its_tasks_goes_to_the_pipes(shared: Start) -> None:
    r = shared("logs.py:Setup", *MANY)
    until("the text of setup", lambda: r.stdout.text == "in setup\n")
    assert r.log(r.predict({"text": "mine"})["id"]) == "mine\n"
    until("the text of the task", lambda: r.stdout.text == "in setup\nof the server's\n")


def test_streams_of_an_async_model_work_like_real_ones(shared: Start) -> None:
    r = shared("logs.py:odd_calls", *MANY)
    for _ in range(2):
        response = r.predict({"text": "é"})
        assert response["status"] == "succeeded", response["traceback"]
        assert r.log(response["id"]) == "éé"


@pytest.mark.parametrize("name", ["own_lines", "many_lines"])
def test_model_that_writes_nothing_makes_no_events(shared: Start, name: str) -> None:
    r = shared(f"logs.py:{name}", *MANY)
    assert r.events(r.predict({"text": "", "count": 0})["id"]) == []
