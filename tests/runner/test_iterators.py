"""Models that yield: one event for each item, and a response that says so."""

from __future__ import annotations

import pathlib

import pytest

from runner.conftest import Start
from runner.harness import LOOK, Runner
from waiting import until

NUMBERS = [
    "numbers",
    "async_numbers",
    "generator",
    "async_generator",
    "returned_list",
    "returned_iterator",
    "awaited_list",
    "sync_returns_async",
]


@pytest.mark.parametrize("name", NUMBERS)
def test_each_item_is_an_event_and_the_output_is_streamed(shared: Start, name: str) -> None:
    r = shared(f"iterators.py:{name}")
    response = r.predict()
    assert r.events(response["id"]) == [
        {"type": "output", "chunk": n, "files": []} for n in range(3)
    ]
    assert (response["status"], response["streamed"], response["output"]) == (
        "succeeded",
        True,
        None,
    )


@pytest.mark.parametrize("name", ["words", "async_words"])
def test_yielded_strings_stay_separate_items_even_empty_ones(shared: Start, name: str) -> None:
    r = shared(f"iterators.py:{name}")
    assert r.chunks(r.predict()["id"]) == ["Hel", "", "lo"]


@pytest.mark.parametrize("name", ["numbers", "async_numbers"])
def test_iterator_without_items_is_an_empty_list(shared: Start, name: str) -> None:
    r = shared(f"iterators.py:{name}")
    response = r.predict({"count": 0})
    assert (response["status"], response["streamed"]) == ("succeeded", True)
    assert not (r.path / f"events-{response['id']}.jsonl").exists()


@pytest.mark.parametrize("name", ["unannotated", "unannotated_async", "async_unannotated"])
def test_generator_that_was_not_declared_is_a_list(shared: Start, name: str) -> None:
    response = shared(f"iterators.py:{name}").predict()
    assert (response["streamed"], response["output"]) == (False, [0, 1, 2]), response


def test_string_returned_for_an_iterator_is_one_item(shared: Start) -> None:
    response = shared("iterators.py:returned_text").predict()
    assert (response["streamed"], response["output"]) == (False, ["abc"])


def test_none_returned_for_an_iterator_is_null(shared: Start) -> None:
    response = shared("iterators.py:nothing").predict()
    assert (response["status"], response["streamed"], response["output"]) == (
        "succeeded",
        False,
        None,
    )


def test_item_of_the_wrong_type_ends_the_prediction(shared: Start) -> None:
    r = shared("iterators.py:wrong_item")
    response = r.predict()
    assert (response["status"], response["streamed"]) == ("failed", True)
    assert "must be an integer; got 'two'" in response["error"]
    assert r.chunks(response["id"]) == [1]


@pytest.mark.parametrize("name", ["files", "async_files"])
def test_yielded_file_may_be_overwritten_right_away(shared: Start, name: str) -> None:
    r = shared(f"iterators.py:{name}")
    id = r.predict()["id"]
    entries = [event["files"][0] for event in r.events(id)]
    assert [entry["pointer"] for entry in entries] == ["", ""]
    assert [entry["path"] for entry in entries] == [
        f"{r.path}/outputs/{id}/{n}/frame.txt" for n in range(2)
    ]
    assert [pathlib.Path(entry["path"]).read_text() for entry in entries] == ["one", "two"]
    assert r.chunks(id) == [None, None]


def test_pointers_of_files_are_relative_to_their_item(shared: Start) -> None:
    r = shared("iterators.py:nested_files")
    events = r.events(r.predict()["id"])
    assert [event["files"][0]["pointer"] for event in events] == ["/frames/0", "/frames/0"]
    assert [event["chunk"] for event in events] == [{"frames": [None]}] * 2


def test_in_memory_files_of_different_items_have_different_paths(shared: Start) -> None:
    r = shared("iterators.py:in_memory_files")
    paths = [entry["path"] for event in r.events(r.predict()["id"]) for entry in event["files"]]
    assert [pathlib.Path(path).read_text() for path in paths] == ["a", "b", "c"]


def _rings_while_running(r: Runner, id: str) -> None:
    r.send(id, {"count": 10})
    until("an item", lambda: r.chunks(id))
    until("a signal for it", lambda: LOOK in r.rung)
    r.response(id)


@pytest.mark.parametrize("name", ["numbers", "async_numbers"])
def test_server_is_signaled_about_items(runner: Start, name: str) -> None:
    r = runner(f"iterators.py:{name}")
    r.rung.clear()
    _rings_while_running(r, "a")


def test_output_cut_by_a_full_disk_is_completed_once_there_is_room(runner: Start) -> None:
    r = runner("iterators.py:no_room")
    assert r.chunks(r.predict({"ever": True})["id"]) == ["first", "second" * 500, "third"]


def test_a_prediction_has_not_succeeded_when_items_are_missing(runner: Start) -> None:
    response = runner("iterators.py:no_room").predict({"ever": False})
    assert response["status"] == "failed" and "could not be written" in response["error"]
