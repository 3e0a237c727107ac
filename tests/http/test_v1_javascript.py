"""Replicate's published JavaScript client, unchanged, against this server:
docs/http-api.md#replicates-clients.
"""

from __future__ import annotations

import json
import pathlib
import shutil
import subprocess

import pytest

TESTS = pathlib.Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.skipif(
    not (TESTS / "v1js" / "node_modules" / "replicate").exists(),
    reason="make test installs the client where npm is",
)


def _start(starter, directories, name, *flags, **options):
    directory = directories.mktemp("model")
    shutil.copy(TESTS / "models" / "v1.py", directory)
    return starter("", *flags, model_dir=directory, predict=f"v1.py:{name}", **options)


@pytest.fixture(scope="module")
def server(start_once, tmp_path_factory):
    return _start(start_once, tmp_path_factory, "Predictor")


@pytest.fixture(scope="module")
def streamer(start_once, tmp_path_factory):
    return _start(start_once, tmp_path_factory, "Streamer")


def seen(server, scenario, argument="any"):
    """The results of a scenario of client.js."""
    url = f"http://127.0.0.1:{server.port}/v1"
    command = ["node", "client.js", scenario, url, argument]
    ran = subprocess.run(command, cwd=TESTS / "v1js", capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def test_run(server):
    assert seen(server, "run") == ["hi hi ", "v", "polled", "slow", ["a", "a"]]


def test_runs_at_once_wait_for_each_other(server):
    assert seen(server, "atOnce") == ["a", "b", "c", "d", "e"]


def test_run_reports_its_progress(server):
    assert seen(server, "progress") == ["starting", "succeeded"]


def test_a_failing_model(server):
    assert seen(server, "failing")["error"] == "Prediction failed: boom"


def test_refused_input_and_unknown_predictions(server):
    refused = seen(server, "refused")
    assert refused["status"] == 422 and "input.n" in refused["error"]
    assert seen(server, "unknown")["status"] == 404


def test_stream(streamer):
    events = seen(streamer, "stream")
    assert "".join(text for name, text in events if name == "output") == "a b\nc "
    assert "".join(text for name, text in events if name == "logs") == "done\n"
    assert events[-1] == ["done", "{}"]


def test_stream_of_a_failing_model(streamer):
    events = seen(streamer, "streamFailing")
    assert events[-1][0] == "thrown" and "boom" in events[-1][1]


def test_create_wait_get_and_list(server):
    found = seen(server, "lifecycle")
    made, done = found["made"], found["done"]
    assert (made["status"], made["output"], made["model"], made["source"]) == (
        "starting",
        None,
        "acme/thing",
        "api",
    )
    assert set(made["urls"]) >= {"get", "cancel", "stream"}
    assert (done["status"], done["output"], done["logs"]) == ("succeeded", "x", "said x\n")
    assert found["got"] == done and found["listed"]
    assert seen(server, "waited")["output"] == "w"
    assert seen(server, "deployment") == ["succeeded", "d", "acme/live"]


def test_pages(start, tmp_path_factory):
    server = _start(start, tmp_path_factory, "Predictor")
    for n in range(101):
        server.predict({"n": n}, id=f"p{n}")
    assert seen(server, "paginate") == [f"p{n}" for n in reversed(range(101))]


def test_cancel(server):
    assert seen(server, "cancel") == "canceled"
    assert seen(server, "abort") == {"value": None}


def test_files_as_input(server):
    assert seen(server, "fileInput") == ["from a blob", "from a buffer"]


def test_uploaded_files(server):
    found = seen(server, "files")
    assert (found["made"]["name"], found["made"]["size"], found["made"]["metadata"]) == (
        "mine.txt",
        4,
        {"a": 1},
    )
    assert found["same"] and found["listed"] >= 1 and found["deleted"] is True
    assert found["output"] == {"name": "mine.txt", "text": "mine"}
    assert found["after"]["status"] == 404


def test_a_file_as_output(server):
    assert seen(server, "fileOutput") == {"text": "written", "url": "data:text/plain;"}


def test_a_webhook(server, receiver):
    done = seen(server, "webhook", receiver.url)
    assert receiver.wait_terminal() == done
    assert [b["status"] for b in receiver.got] == ["processing", "succeeded"]


def test_a_signed_webhook_is_valid_for_the_client(start, receiver, tmp_path_factory):
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    server = _start(start, tmp_path_factory, "Predictor", "--webhook-secret", secret)
    server.predict({"text": "é"}, webhook=receiver.url)
    receiver.wait_terminal()
    for headers, body in zip(receiver.headers, receiver.bodies):
        given = json.dumps({"headers": headers, "body": body.decode(), "secret": secret})
        assert seen(server, "validate", given) == [True, False]


def test_the_model_and_its_versions(server):
    assert seen(server, "model") == ["thing", 1, True, "3.0.2"]


def test_the_token_of_the_server_is_enough_for_everything(start, tmp_path_factory):
    env = {"COGGO_AUTH_TOKEN": "t0ken"}
    streamer = _start(start, tmp_path_factory, "Streamer", env=env)
    assert seen(streamer, "stream", "t0ken")[-1] == ["done", "{}"], (
        "the client sends no token for a stream"
    )
    assert seen(streamer, "unknown", "t0ken")["status"] == 404
    assert seen(streamer, "unknown", "other")["status"] == 401
    made = streamer.ask("POST", "/v1/predictions", {"input": {}}, Authorization="Bearer t0ken").json
    path = made["urls"]["stream"].partition(f":{streamer.port}")[2]
    assert streamer.get(path).status == 200
    assert streamer.get(path[:-1] + "0" if path[-1] != "0" else path[:-1] + "1").status == 401
    assert streamer.get(path.partition("?")[0]).status == 401
