"""A finished prediction does not change when the model changes its files later, and the right files
are removed: docs/http-api.md#files.
"""

from __future__ import annotations

import base64
import threading

import pytest

from http_harness import Reply
from model_sources import model_source
from waiting import until

SIZE = 2 << 20  # such files stay on disk until a client asks for them

#: Files that a model keeps in the temporary directory are removed with it.
MODEL = model_source("http/ended")


@pytest.fixture(scope="module")
def server(start_once):
    return start_once(MODEL)


def contents(url):
    return base64.b64decode(url.partition(",")[2], validate=True)


HOWS = [
    "",
    "descriptor",
    "descriptor for reading",
    "buffered",
    "mapping",
    "hard link",
    "thread",
    "child",
    "list",
]


@pytest.mark.parametrize("how", HOWS)
def test_a_finished_prediction_does_not_change(server, receiver, how):
    id = how.replace(" ", "-") or "plain"
    first = server.predict({"how": how}, id=id, webhook=receiver.url).json
    output = first["output"]["deep"][0] if how == "list" else first["output"]
    assert contents(output) == b"a" * SIZE
    server.predict({"how": "overwrite", "letter": "b"})
    assert server.get(f"/predictions/{id}").json == first
    assert receiver.wait_terminal() == first


def test_a_file_of_setup_is_kept_and_earlier_answers_do_not_change(server):
    for letter in "abc":
        body = server.predict({"how": "of setup", "letter": letter}, id=f"setup-{letter}").json
        assert contents(body["output"]) == letter.encode() * SIZE, body["error"]
    assert contents(server.get("/predictions/setup-a").json["output"]) == b"a" * SIZE
    assert any(path.name == "of-setup.bin" for path in server.temporary_files())


def test_a_returned_input_file_keeps_its_contents(server, store):
    url = store.add("/in.bin", b"i" * SIZE)
    assert (
        contents(server.predict({"how": "given", "path": url}, id="given").json["output"])
        == b"i" * SIZE
    )
    server.predict({"how": "overwrite"})
    assert contents(server.get("/predictions/given").json["output"]) == b"i" * SIZE


def test_the_model_gets_a_copy_of_an_uploaded_file(server):
    form = (
        b'--b\r\nContent-Disposition: form-data; name="content"; filename="f.bin"\r\n\r\n'
        + b"s" * SIZE
        + b"\r\n--b--\r\n"
    )
    stored = server.ask(
        "POST", "/v1/files", form, Content_Type="multipart/form-data; boundary=b"
    ).json
    url = stored["urls"]["get"]
    server.predict({"how": "given", "path": url}, id="stored")
    server.predict({"how": "overwrite"})
    again = server.predict({"how": "given", "path": url}).json
    assert (
        contents(again["output"])
        == contents(server.get("/predictions/stored").json["output"])
        == b"s" * SIZE
    )


def test_an_upload_is_complete_although_the_model_keeps_writing(start, store):
    under_way, go = threading.Event(), threading.Event()

    def put(got):
        if len(store.got) == 1:
            under_way.set()
            go.wait(20)
            return Reply(503, {"Content-Length": "0"})
        return Reply(200, {"Content-Length": "0"})

    store.put = put
    writer = model_source("http/ended_writer")
    server = start(writer, "--upload-url", store.url + "/up")
    server.predict({}, {"Prefer": "respond-async"}, id="up")
    assert under_way.wait(20)
    directory = server.temporary.parent
    (directory / "go").touch()
    until("the model has written", (directory / "done").exists)
    go.set()
    body = server.ended("up")
    assert body["status"] == "succeeded", body["error"]
    assert [got.body == b"a" * SIZE for got in store.got] == [True, True]


BIRTHS = model_source("http/ended_births")
BIRTHS_ASYNC = model_source("http/ended_births_async")


@pytest.fixture(scope="module")
def births(start_once):
    return start_once(BIRTHS)


@pytest.mark.parametrize("how", ["plain", "written", "renamed", "moved", "linked", "touched"])
def test_an_older_file_is_kept_after_any_change(births, how):
    for _ in range(20):  # even right after a run
        before = len(births.temporary_files())
        assert contents(births.predict({"how": how}).json["output"]) == b"text"
        assert len(births.temporary_files()) == before + (how == "linked")


@pytest.mark.parametrize("how", ["new", "copied", "given"])
def test_a_file_of_the_run_is_removed(births, store, how):
    url = store.add("/in.txt", b"text") if how == "given" else None
    for _ in range(20):
        before = births.temporary_files()
        assert (
            contents(births.predict({"how": how, **({"path": url} if url else {})}).json["output"])
            == b"text"
        )
        assert births.temporary_files() == before


def test_a_file_of_the_run_before_is_kept(births):
    for n in range(20):  # right after it, when timestamps hardly differ
        births.predict({"how": "cached"})
        assert (
            contents(births.predict({"how": "what was cached"}, id=f"c{n}").json["output"])
            == b"text"
        )
    assert any(path.name == "cached.txt" for path in births.temporary_files())


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_files_of_a_run_are_found_on_kernels_with_coarse_timestamps(start, tmp_path, kind):
    (tmp_path / "sitecustomize.py").write_text(
        "import os; del os.memfd_create"
    )  # exact timestamps require this
    server = start(
        {"sync": BIRTHS, "async": BIRTHS_ASYNC}[kind],
        env={"PYTHONPATH": str(tmp_path)},
    )
    server.predict({"how": "cached"})
    for how in ["new", "what was cached", "moved", "written"] * 5:
        before = len(server.temporary_files())
        assert contents(server.predict({"how": how}).json["output"]) == b"text"
        assert len(server.temporary_files()) == before


TOGETHER = model_source("http/ended_together")


@pytest.mark.parametrize("size", [4, SIZE])
def test_runs_that_share_a_file_all_get_it_and_the_last_removes_it(start, size):
    server = start(TOGETHER)
    ids = ["one", "two", "three"]
    for id in ids:
        server.predict(
            {"name": "shared", "size": size, "wait": id}, {"Prefer": "respond-async"}, id=id
        )
    for id in ids:
        until("it waits", lambda id=id: server.predict({"wake": id}).json["status"] == "succeeded")
        body = server.ended(id)
        assert body["status"] == "succeeded", body["error"]
        assert contents(body["output"]) == b"s" * size
    server.predict({"size": size})
    until("nothing is left", lambda: not server.temporary_files())
    assert contents(server.get("/predictions/one").json["output"]) == b"s" * size


TRAINING = model_source("http/ended_training")


def test_the_weights_of_a_training_do_not_change(start):
    server = start(TRAINING)
    for n in (1, 2):
        answer = server.ask("PUT", f"/trainings/t{n}", {"input": {"n": n}})
        assert answer.json["status"] == "succeeded", answer.json
    for n in (1, 2):
        assert contents(server.get(f"/predictions/t{n}").json["output"]["weights"]) == b"w" * SIZE
