"""Each way in which a prediction can end gives one response, and the next prediction runs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from runner.conftest import Start
from runner.harness import Runner

MODES = ["sync", "async"]

#: The action of the model, the error of the response, a part of its traceback (None without one).
FAILURES: list[tuple[str, str, str | None]] = [
    ("exception", "no such voice", "ValueError: no such voice"),
    ("no message", "ValueError", "ValueError"),
    ("str raises", "Unspeakable", "Unspeakable"),
    ("exit", "the model called sys.exit(3)", "SystemExit: 3"),
    ("exit text", "the model called sys.exit('out of memory')", "SystemExit: out of memory"),
    ("own", "mine", "Own: mine"),
    ("interrupt", "KeyboardInterrupt", "KeyboardInterrupt"),
    ("generator exit", "GeneratorExit", "GeneratorExit"),
    ("nan", "not JSON: NaN at output.x[1]", None),
    ("infinity", "not JSON: Infinity at output", None),
    ("object", "output.model is a builtins.object", None),
    ("recursion", "maximum recursion depth exceeded", "RecursionError"),
    ("loop", "the output contains itself at output[0]", None),
    ("deep", "nested too deeply", None),
    ("surrogate", "a", "ValueError"),
]


@pytest.fixture(params=MODES)
def endings(request: Any, shared: Start) -> Runner:
    return shared(f"endings.py:{request.param}_ending")


def test_value_is_the_output(endings: Runner) -> None:
    response = endings.predict({"how": "value"})
    assert response.pop("metrics")["predict_time"] > 0
    assert response.pop("completed_at").endswith("+00:00")
    assert response.pop("id")
    assert response == {
        "status": "succeeded",
        "output": {"answer": 42},
        "streamed": False,
        "silent": True,
        "output_path": None,
        "files": [],
        "error": None,
        "traceback": None,
    }


@pytest.mark.parametrize(("how", "error", "traceback"), FAILURES, ids=[row[0] for row in FAILURES])
def test_failure_says_why_and_the_next_prediction_works(
    endings: Runner, how: str, error: str, traceback: str | None
) -> None:
    response = endings.predict({"how": how})
    assert (response["status"], response["output"]) == ("failed", None)
    assert error in response["error"]
    assert (
        response["traceback"] is None if traceback is None else traceback in response["traceback"]
    )
    assert endings.predict({"how": "value"})["status"] == "succeeded"


def test_traceback_begins_in_the_model(endings: Runner) -> None:
    lines = endings.predict({"how": "exception"})["traceback"].splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert "endings.py" in lines[1]


def test_message_of_100_mb_is_cut(endings: Runner) -> None:
    response = endings.predict({"how": "100 MB"})
    assert response["error"].startswith("xxxx")
    assert len(response["error"]) < 20_000
    assert len(response["traceback"]) < 100_000


def test_wrong_input_fails_and_names_the_field(endings: Runner) -> None:
    response = endings.predict({"how": 3})
    assert response["status"] == "failed"
    assert "how" in response["error"]


@pytest.mark.parametrize("name", ["fails_in_the_middle", "async_fails_in_the_middle"])
def test_error_in_the_middle_keeps_the_yielded_items(shared: Start, name: str) -> None:
    r = shared(f"endings.py:{name}")
    response = r.predict()
    assert (response["status"], response["error"], response["streamed"]) == (
        "failed",
        "no third",
        True,
    )
    assert r.chunks(response["id"]) == [1, 2]


def test_nan_among_the_items_ends_the_prediction_there(shared: Start) -> None:
    r = shared("endings.py:yields_nan")
    response = r.predict()
    assert (response["status"], response["error"]) == ("failed", "not JSON: NaN at output")
    assert r.chunks(response["id"]) == [1.0]


MALFORMED = [
    b"",
    b"{",
    b"[]",
    b"null",
    b"3",
    b'"text"',
    b"{}",
    b'{"id": 3}',
    b'{"id": "a", "input": []}',
    b'{"id": "a", "input": {"name": "x"}, "context": 3}',
    b'{"id": "a", "method": "dance", "input": {"name": "x"}}',
    b'{"id": "a", "method": "train", "input": {"name": "x"}}',
    b'{"id": "a", "files": 3}',
    b'{"id": "a", "files": [{}]}',
    b"\xff\xfe",
    b"[" * 100_000,
]


@pytest.mark.parametrize("name", ["greet", "async_greet"])
@pytest.mark.parametrize("message", MALFORMED, ids=[repr(message[:40]) for message in MALFORMED])
def test_malformed_request_is_answered_and_the_loop_continues(
    shared: Start, name: str, message: bytes
) -> None:
    r = shared(f"endings.py:{name}")
    r.put("request-bad.json", message)
    response = r.response("bad")
    assert response["status"] == "failed"
    assert response["error"]
    assert r.predict({"name": "you"})["output"] == "hello you"


@pytest.mark.parametrize("name", ["greet", "async_greet"])
def test_request_that_is_a_directory_is_answered_and_the_loop_continues(
    shared: Start, name: str
) -> None:
    r = shared(f"endings.py:{name}")
    (r.path / ".tmp" / "directory").mkdir()
    (r.path / ".tmp" / "directory").rename(r.path / "request-directory.json")
    response = r.wait_for("response-directory.json")
    (r.path / "request-directory.json").rmdir()
    assert response["status"] == "failed"
    assert r.predict({"name": "you"})["output"] == "hello you"


@pytest.mark.parametrize("name", ["greet", "async_greet"])
def test_other_names_in_the_directory_are_left_alone(shared: Start, name: str) -> None:
    r = shared(f"endings.py:{name}")
    for other in (
        "request",
        "requests-1.json",
        "note.txt",
        "response-x.json",
        "cancel-nobody.json",
        "stopped",
        "é",
    ):
        r.put(other, {"other": 1})
    assert r.predict({"name": "you"})["output"] == "hello you"
    assert r.get("note.txt") == {"other": 1}


@pytest.mark.parametrize("name", ["greet", "async_greet"])
def test_request_that_is_removed_before_it_is_read_is_ignored(shared: Start, name: str) -> None:
    r = shared(f"endings.py:{name}")
    r.put("request-gone.json", {})
    (r.path / "request-gone.json").unlink(missing_ok=True)
    assert r.predict({"name": "you"})["output"] == "hello you"


@pytest.mark.parametrize("name", ["greet", "async_greet"])
def test_long_id_is_answered(shared: Start, name: str) -> None:
    r = shared(f"endings.py:{name}")
    assert r.response(r.send("i" * 128, {"name": "you"}))["output"] == "hello you"


@pytest.mark.parametrize("name", ["greet", "async_greet"])
def test_response_that_cannot_be_written_ends_the_runner(runner: Start, name: str) -> None:
    r = runner(f"endings.py:{name}")
    half = r.path / ".tmp" / "request"
    half.write_text(
        json.dumps(
            {"id": "a", "method": "predict", "input": {"name": "x"}, "files": [], "context": {}}
        )
    )
    (r.path / ".tmp").rename(r.path / "gone")
    (r.path / "gone" / "request").rename(r.path / "request-a.json")
    assert r.exit() == 74
    assert "the working directory can't be used" in r.stderr.text
