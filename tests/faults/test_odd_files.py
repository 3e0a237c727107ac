"""A model replaces a file of the protocol or an output by another kind of file: the server neither
blocks on it nor reads it endlessly.
"""

from __future__ import annotations

import json
import os
import pathlib
import signal
from typing import Any

import pytest

from faults_models import ASYNC
from model_sources import model_source
from waiting import until

pytestmark = pytest.mark.timeout(120)

#: Makes a file of this ``kind`` at ``name`` in the working directory, then does what ``then`` says.
#: Both ends of the held pipes are open, so that opening or reading them never fails or ends.
MODEL = model_source("faults/odd_files")

KINDS = {
    "pipe": "a named pipe",
    "held": "a named pipe",
    "directory": "a directory",
    "socket": "a socket",
    "link": "a symbolic link",
    "vast": "",
}


def works(server: Any) -> None:
    server.wait_status("READY")
    answer = server.predict({}).json
    assert (answer["status"], answer["output"]) == ("succeeded", ["done"]), answer


@pytest.fixture(scope="module", params=["Predictor", "AsyncPredictor"])
def server(request, start_once):
    return start_once(
        MODEL,
        "--max-restarts",
        "1000",
        "--cancel-grace",
        "2s",
        "--retain",
        "0",
        predict=f"predict.py:{request.param}",
    )


@pytest.mark.parametrize("then", ["dies", "goes on", "ends"])
@pytest.mark.parametrize("name", ["events-{}.jsonl", "response-{}.json"])
@pytest.mark.parametrize("kind", KINDS)
def test_another_kind_of_file_in_place_of_the_response_ends_the_prediction(
    server, kind, name, then
):
    id = f"{kind}-{then[:4]}".replace(" ", "")
    asked = {"input": {"kind": kind, "name": name.format(id), "then": then}}
    answer = server.ask("PUT", f"/predictions/{id}", asked).json
    if (
        then != "ends"
    ):  # otherwise the runner's response may replace it before the server has looked
        assert answer["status"] == "failed", answer
        assert name.format(id) in answer["error"] and KINDS[kind] in answer["error"], answer
    works(server)


@pytest.mark.parametrize(
    "name",
    ["cancel-next.json", "request-next.json", ".tmp/request-next.json", ".tmp/response-next.json"],
)
@pytest.mark.parametrize("kind", ["pipe", "held", "directory", "link"])
def test_a_file_in_the_way_of_a_later_prediction_does_not_delay_it(server, kind, name):
    assert server.predict({"kind": kind, "name": name, "then": "ends"}).status == 200
    until("it ends", lambda: server.health()["concurrency"]["current"] == 0)
    assert server.ask("PUT", "/predictions/next", {"input": {}}).json["status"] in (
        "succeeded",
        "failed",
    )
    works(server)


@pytest.mark.parametrize("kind", ["pipe", "held", "link", "directory"])
@pytest.mark.parametrize("name", ["logs", "reserve"])
def test_another_kind_of_file_in_place_of_the_pipe_or_the_reserve_harms_nothing(server, kind, name):
    answer = server.predict({"kind": kind, "name": name, "then": "ends"}).json
    assert answer["status"] == "succeeded"
    works(server)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["openapi.json", "setup-result.json"])
def test_setup_fails_with_another_kind_of_file_in_place_of_its_result(start, kind, name):
    when = "AT_SETUP" if name == "openapi.json" else "IN_SETUP"
    server = start(MODEL, env={when: f"{kind}:{name}"}, ready=False)
    # The runner may overwrite it with the right one before the server looks.
    if name == "openapi.json":
        until("setup has ended", lambda: server.health()["status"] != "STARTING")
        return
    server.wait_status("SETUP_FAILED")
    logs = server.health()["setup"]["logs"]
    assert name in logs and KINDS[kind] in logs, logs


@pytest.mark.parametrize("kind", KINDS)
def test_a_healthcheck_is_answered_with_any_kind_of_file_in_place_of_its_files(start, kind):
    server = start(MODEL, "--max-restarts", "9", predict="predict.py:Checked")
    for name in ("response", "request"):
        assert (
            server.predict({"kind": kind, "name": f"health/{name}.json", "then": "ends"}).status
            == 200
        )
        health = server.health()
        assert health["status"] in ("READY", "UNHEALTHY")
        if health["status"] == "UNHEALTHY":
            assert "health/response.json" in json.dumps(health) and KINDS[kind] in json.dumps(
                health
            ), health
        assert server.predict({}).json["status"] == "succeeded"


@pytest.mark.parametrize("kind", KINDS)
def test_a_stored_file_that_is_no_longer_a_file_is_not_an_input(start, kind):
    """The model can reach what clients have uploaded."""
    server = start(MODEL)
    body = b'--x\r\nContent-Disposition: form-data; name="content"; filename="a.txt"\r\n\r\nhello\r\n--x--\r\n'
    stored = server.ask(
        "POST", "/v1/files", body, Content_Type="multipart/form-data; boundary=x"
    ).json
    for name in ("contents", "about.json"):
        ended = server.predict({"kind": kind, "name": f"uploads/{stored['id']}/{name}"}).json
        assert ended["status"] == "succeeded", ended
        assert server.get("/v1/files").status == 200
        assert server.get(f"/v1/files/{stored['id']}").status in (200, 404, 500)
    assert server.ask("DELETE", f"/v1/files/{stored['id']}").status in (204, 404, 500)
    works(server)


@pytest.mark.parametrize("kind", ["pipe", "held", "directory", "link", "vast"])
def test_a_later_server_starts_despite_leftovers_of_other_kinds(start, tmp_path, kind):
    first = start(MODEL, "--working-dir", str(tmp_path))
    pid = first.runner()
    first.ask(
        "PUT",
        "/predictions/it",
        {"input": {"kind": "pipe", "name": "x", "then": "goes on"}},
        **ASYNC,
    )
    until("it runs", (tmp_path / "x").exists)
    first.kill()
    until("the runner has ended", lambda: not pathlib.Path(f"/proc/{pid}").exists())
    for name in (
        "events-it.jsonl",
        "response-it.json",
        "queued/a.json",
        "results/a.json",
        "outbox/a.json",
    ):
        path = tmp_path / name
        path.unlink(missing_ok=True)
        if kind in ("pipe", "held"):
            os.mkfifo(path)
        elif kind == "directory":
            path.mkdir()
        elif kind == "link":
            path.symlink_to("/dev/zero")
        else:
            path.touch()
            os.truncate(path, 1 << 40)
    second = start(MODEL, "--working-dir", str(tmp_path))
    assert second.ended("it")["status"] == "failed"
    works(second)


def test_a_second_signal_ends_a_server_whose_model_put_a_pipe_in_place_of_a_file(start):
    server = start(MODEL)
    server.ask(
        "PUT",
        "/predictions/it",
        {"input": {"kind": "held", "name": "events-it.jsonl", "then": "goes on"}},
        **ASYNC,
    )
    for _ in range(2):
        server.process.send_signal(signal.SIGTERM)
        until("it is shutting down", lambda: "shutting down" in server.log())
    assert server.process.wait(30) == 0
