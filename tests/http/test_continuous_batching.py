"""The example of continuous batching: a transformer whose requests join a running batch."""

from __future__ import annotations

import os
import pathlib
import shutil
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy
import pytest

from http_events import Stream
from http_harness import Server
from servers import ROOT
from waiting import until

#: The path of numpy for the model, because the server's Python has no packages.
LIBRARIES = str(pathlib.Path(numpy.__file__).parents[1])


@pytest.fixture(scope="module")
def server(start_once: Any, tmp_path_factory: pytest.TempPathFactory) -> Server:
    directory = tmp_path_factory.mktemp("model") / "continuous-batching"
    shutil.copytree(ROOT / "examples" / "continuous-batching", directory)
    path = os.pathsep.join(filter(None, [LIBRARIES, os.environ.get("PYTHONPATH")]))
    return start_once(model_dir=directory, env={"PYTHONPATH": path})


def text(server: Server, **input: Any) -> str:
    answer = server.predict(input).json
    assert answer["status"] == "succeeded", answer
    return "".join(answer["output"])


def test_the_model_writes_the_text_that_it_was_trained_on(server: Server) -> None:
    written = text(server, prompt="The ferry left the ", max_tokens=80, temperature=0)
    assert len(written) == 80
    known = (ROOT / "examples" / "continuous-batching" / "text.txt").read_text().split()
    words = written.split()[1:-1]
    assert sum(word in known for word in words) >= len(words) // 3, written


def test_the_same_seed_gives_the_same_text_in_any_batch(server: Server) -> None:
    inputs = [
        {
            "prompt": "The ferry came "[: 4 + n % 12],
            "max_tokens": 6 + 4 * n,
            "temperature": 0.4 + n / 20,
            "seed": n,
        }
        for n in range(12)
    ]
    alone = [text(server, **given) for given in inputs]
    assert len(set(alone)) == len(alone)
    for order in (inputs, inputs[::-1]):
        with ThreadPoolExecutor(len(order)) as pool:
            together = list(pool.map(lambda given: text(server, **given), order))
        assert together == [alone[given["seed"]] for given in order]


def test_tokens_are_streamed_one_by_one(server: Server) -> None:
    with Stream(
        server.port, "POST", "/predictions", {"input": {"max_tokens": 30, "seed": 5}}
    ) as stream:
        events = stream.until("completed")
    chunks = [event.data["chunk"] for event in events if event.name == "output"]
    assert len(chunks) == 30
    assert chunks == events[-1].data["output"]


def test_a_canceled_sequence_leaves_the_batch_and_changes_no_other(server: Server) -> None:
    given = {"max_tokens": 150, "seed": 7}
    alone = text(server, **given)
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(lambda: text(server, **given))
        for n in range(8):
            body = {"prompt": "The storm came. " * 20, "max_tokens": 200, "seed": n}
            server.predict(body, {"Prefer": "respond-async"}, id=f"c{n}")
            assert server.ask("POST", f"/predictions/c{n}/cancel").status in (200, 404)
        assert other.result() == alone
    assert {server.ended(f"c{n}")["status"] for n in range(8)} <= {"canceled", "succeeded"}
    until("the batch is empty", lambda: server.health()["concurrency"]["current"] == 0)


def test_more_requests_than_rows_are_refused_and_all_others_answered(server: Server) -> None:
    with ThreadPoolExecutor(80) as pool:
        answers = list(pool.map(lambda n: server.predict({"max_tokens": 20, "seed": n}), range(80)))
    assert {a.status for a in answers} <= {200, 409}
    good = [a.json["output"] for a in answers if a.status == 200]
    assert len(good) >= 64
    assert {len(output) for output in good} == {20}
    assert server.health()["status"] == "READY"
