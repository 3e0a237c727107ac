"""A model writes something in the place of its own response, and goes on: its prediction fails, and
its slot stays taken until the runner is done with it.
"""

from __future__ import annotations

import pathlib
import signal
from typing import Any

import pytest

from faults_models import ASYNC
from model_sources import model_source
from waiting import until

pytestmark = pytest.mark.timeout(120)

MODEL = model_source("faults/foreign_responses")

TEXTS = {
    "rubbish": "rubbish",
    "empty": "",
    "null": "null",
    "members missing": "{}",
    "another id": '{"id": "other", "status": "succeeded"}',
    "no end": '{"id": "no end", "status": "processing"}',
}


@pytest.fixture(scope="module", params=["Predictor", "AsyncPredictor"])
def server(request: Any, start_once: Any) -> Any:
    return start_once(MODEL, predict=f"predict.py:{request.param}")


@pytest.mark.parametrize("text", TEXTS)
def test_the_next_prediction_runs_once_the_runner_is_done(server: Any, text: str) -> None:
    id, runner = text.replace(" ", "-"), server.runner()
    asked = {"input": {"name": f"response-{id}.json", "text": TEXTS[text].replace(text, id)}}
    answer = server.ask("PUT", f"/predictions/{id}", asked).json
    assert answer["status"] == "failed", answer
    assert answer["error"].startswith("the model's response could not be read: "), answer
    assert server.predict({}).json["output"] == 1
    assert server.runner() == runner, "it has ended the prediction at the cancel"


def test_the_slot_of_one_that_ignores_the_cancel_stays_taken(
    start: Any, tmp_path: pathlib.Path
) -> None:
    server = start(
        MODEL,
        "--max-concurrency",
        "3",
        "--cancel-grace",
        "200ms",
        predict="predict.py:Stubborn",
    )
    runner, mine, others = server.runner(), tmp_path / "mine", tmp_path / "others"
    server.predict({"gate": str(others)}, ASYNC, id="first")
    server.predict({"gate": str(mine), "name": "response-it.json"}, ASYNC, id="it")
    end = server.ended("it")
    assert (end["status"], end["output"]) == ("failed", None)
    for _ in range(3):  # the server looks at the directory each time
        server.process.send_signal(signal.SIGHUP)
        assert server.predict({}).json["output"] == "done"
    assert server.predict({"gate": str(others)}, ASYNC, id="second").status == 202
    assert server.predict({}).status == 409
    mine.touch()
    until("its slot is free", lambda: server.predict({}).status == 200)
    assert server.ended("it") == end
    others.touch()
    assert [server.ended(id)["status"] for id in ("first", "second")] == ["succeeded"] * 2
    assert server.runner() == runner
