"""Output files become data URLs or are uploaded, and some are removed afterwards:
docs/http-api.md#files.
"""

from __future__ import annotations

import threading

import pytest

from http_events import Stream
from http_harness import Reply, data_of
from model_sources import model_source
from waiting import until

MODEL = model_source("http/output_files")


@pytest.fixture(scope="module")
def server(start_once):
    return start_once(MODEL)


TYPES = [("x.txt", "text/plain"), ("x.json", "application/json"), ("x.png", "image/png"), ("x.jpg", "image/jpeg"),
         ("x.JPEG", "image/jpeg"), ("x.gif", "image/gif"), ("x.webp", "image/webp"), ("x.svg", "image/svg+xml"),
         ("x.mp4", "video/mp4"), ("x.webm", "video/webm"), ("x.mp3", "audio/mpeg"), ("x.html", "text/html"),
         ("x.csv", "text/csv"), ("x.pdf", "application/pdf"), ("x.zip", "application/zip")]  # fmt: skip


@pytest.mark.parametrize(("name", "media"), TYPES)
def test_the_extension_tells_the_media_type(server, name, media):
    assert data_of(server.predict({"what": "file", "name": name}).json["output"]) == (
        b"contents",
        media,
    )


def test_wav_is_audio(server):
    contents, media = data_of(server.predict({"what": "file", "name": "x.wav"}).json["output"])
    assert contents == b"contents" and media in ("audio/wav", "audio/x-wav")


@pytest.mark.parametrize("name", ["x.nobody-knows", "no-extension"])
@pytest.mark.parametrize(
    ("what", "contents"), [("binary", bytes(range(256)) * 7 + b"x"), ("file", b"contents")]
)
def test_a_file_of_unknown_type_is_application_octet_stream(server, name, what, contents):
    output = server.predict({"what": what, "name": name}).json["output"]
    assert data_of(output) == (contents, "application/octet-stream")


@pytest.mark.parametrize(
    ("what", "contents"),
    [
        ("bytes io", b"in memory"),
        ("text io", b"in memory"),
        ("open file", b"was open"),
        ("pathlib", b"p"),
        ("empty", b""),
    ],
)
def test_file_objects_are_files_too(server, what, contents):
    assert data_of(server.predict({"what": what}).json["output"])[0] == contents


@pytest.mark.parametrize("what", ["named", "named, kept", "named, left"])
def test_an_open_named_temporary_file_is_sent_and_removed(server, what):
    before = {p for p in server.temporary.rglob("*") if p.is_file()}
    for _ in range(3):
        first, second = server.predict({"what": what}).json["output"]
        assert data_of(first) == data_of(second["again"]) == (b"was open", "application/json")
    kept = {p for p in server.temporary.rglob("*") if p.is_file()} - before
    assert len(kept) == (what == "named, kept"), "the model keeps its own file"
    assert server.predict({"what": "file"}).json["logs"] == ""
    assert {p for p in server.temporary.rglob("*") if p.is_file()} <= before | kept


@pytest.mark.parametrize(
    ("name", "media"), [("model.glb", "model/gltf-binary"), ("m.json", "application/json")]
)
def test_a_link_gives_its_own_name_and_type(server, name, media):
    path, [opened] = server.predict({"what": "link", "name": name}).json["output"]
    assert data_of(path) == data_of(opened) == (b"glTF", media)


def test_files_inside_objects_and_lists(server):
    output = server.predict({"what": "object"}).json["output"]
    assert list(output) == ["a", "n", "deep"]
    assert data_of(output["a"])[0] == b"a" and output["n"] == 1
    assert data_of(output["deep"]["b"][0])[0] == b"b" and output["deep"]["b"][1] is None
    listed = server.predict({"what": "list", "count": 12}).json["output"]
    assert [data_of(url)[0] for url in listed] == [str(i).encode() for i in range(12)]


@pytest.mark.parametrize("what", ["missing", "directory"])
def test_an_output_path_that_is_not_a_file_fails_the_prediction(server, what):
    body = server.predict({"what": what}).json
    assert (body["status"], body["output"]) == ("failed", None)
    assert "/" in body["error"], "the error names the path"
    assert server.predict({}).json["status"] == "succeeded"


def test_a_string_that_looks_like_a_path_stays_a_string_and_the_file_is_kept(server, tmp_path):
    file = tmp_path / "mine.txt"
    file.write_text("mine")
    for text in (f"file://{file}", str(file), "data:,x", "https://example.com/x.png"):
        assert server.predict({"what": "text", "name": text}).json["output"] == text
    assert file.read_text() == "mine"


def test_a_file_of_the_model_is_kept(server, tmp_path):
    asset = tmp_path / "asset.txt"
    asset.write_text("asset")
    for _ in range(2):
        assert (
            data_of(server.predict({"what": "given", "name": str(asset)}).json["output"])[0]
            == b"asset"
        )
    assert asset.read_text() == "asset"


@pytest.mark.parametrize(
    "what", ["file", "binary", "empty", "object", "list", "bytes io", "open file", "pathlib"]
)
def test_temporary_files_are_removed(server, what):
    before = server.temporary_files()
    assert server.predict({"what": what}).json["status"] == "succeeded"
    assert server.temporary_files() == before
    assert not any((server.spool() / "outputs").glob("*"))


BESIDE = model_source("http/output_files_beside")


@pytest.mark.parametrize("name", ["Plain", "Yields", "Async", "Batch"])
def test_files_next_to_the_model_are_kept_even_below_the_temporary_directory(start, tmp_path, name):
    directory = tmp_path / "model"
    directory.mkdir()
    server = start(
        BESIDE, model_dir=directory, predict=f"predict.py:{name}", env={"TMPDIR": str(tmp_path)}
    )
    assert server.predict({"n": 1} if name == "Batch" else {}).json["status"] == "succeeded"
    assert (directory / "deep" / "out.txt").read_text() == "made"


ITERATOR = model_source("http/output_files_iterator")

FRAMES = [b"frame 0", b"frame 1", b"frame 2"]


@pytest.fixture(scope="module")
def frames(start_once):
    return start_once(ITERATOR)


def test_each_yielded_file_has_the_contents_of_that_moment(frames, receiver):
    body = frames.predict({}, webhook=receiver.url).json
    assert [data_of(url)[0] for url in body["output"]] == FRAMES
    assert receiver.wait_terminal()["output"] == body["output"]


def test_yielded_files_are_streamed(frames):
    with Stream(frames.port, "POST", "/predictions", {"input": {}}) as stream:
        events = list(stream)
    assert [data_of(e.data["chunk"])[0] for e in events if e.name == "output"] == FRAMES
    assert [data_of(url)[0] for url in events[-1].data["output"]] == FRAMES


@pytest.mark.parametrize(
    ("end", "status"), [("raise", "failed"), ("missing", "failed"), ("hang", "canceled")]
)
def test_items_yielded_before_the_end_are_kept(frames, end, status):
    frames.predict({"end": end}, {"Prefer": "respond-async"}, id=f"end-{end}")
    if end == "hang":
        until(
            "all is there",
            lambda: len(frames.get("/predictions/end-hang").json["output"] or []) == 3,
        )
        frames.ask("POST", "/predictions/end-hang/cancel")
    body = frames.ended(f"end-{end}")
    assert body["status"] == status
    assert [data_of(url)[0] for url in body["output"]] == FRAMES
    frames.wait_status("READY")


# Uploads. Each test says how the store answers a PUT.


@pytest.fixture(scope="module")
def uploading(start_once, module_store):
    return start_once(MODEL, "--upload-url", module_store.url + "/up?token=s3cret")


@pytest.fixture(scope="module")
def module_store():
    from http_store import Store

    made = Store()
    yield made
    made.close()


@pytest.fixture
def uploads(module_store):
    """The store for uploads, reset for each test."""
    module_store.got.clear()
    module_store.put = lambda got: Reply(201, {"Content-Length": "0"})
    return module_store


def path_of(got):
    return got.path.partition("?")[0]


@pytest.mark.parametrize("prefer", ["", "respond-async"])
def test_a_file_is_put_below_the_url(uploading, uploads, prefer):
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    id = f"up-{prefer}"
    headers = {"Prefer": prefer, "traceparent": trace, "tracestate": "a=b"}
    uploading.predict({"what": "file", "name": "out.png"}, headers, id=id)
    body = uploading.ended(id)
    assert body["status"] == "succeeded", body["error"]
    (got,) = uploads.got
    assert (got.method, path_of(got), got.body) == ("PUT", "/up/out.png", b"contents")
    assert got.headers["content-type"] == "image/png"
    assert got.headers["content-length"] == "8"
    assert got.headers["x-prediction-id"] == id
    assert got.headers["traceparent"].split("-")[1] == trace.split("-")[1]
    assert got.headers["tracestate"] == "a=b"
    assert body["output"] == uploads.url + "/up/out.png", "the address, without the query"


def test_an_empty_file_has_a_length(uploading, uploads):
    assert uploading.predict({"what": "empty"}).json["status"] == "succeeded"
    assert (uploads.got[0].body, uploads.got[0].headers["content-length"]) == (b"", "0")


@pytest.mark.parametrize(
    ("location", "want"),
    [
        ("https://cdn.example.com/x.txt", "https://cdn.example.com/x.txt"),
        ("https://cdn.example.com/x.txt?sig=s3cret", "https://cdn.example.com/x.txt"),
        ("/elsewhere/x.txt", "{url}/elsewhere/x.txt"),
    ],
)
def test_the_address_is_the_location_that_the_store_returns(uploading, uploads, location, want):
    uploads.put = lambda got: Reply(201, {"Location": location, "Content-Length": "0"})
    assert uploading.predict({}).json["output"] == want.format(url=uploads.url)


@pytest.mark.parametrize("status", [200, 201, 204])
def test_any_2xx_status_is_a_success(uploading, uploads, status):
    uploads.put = lambda got: Reply(status, {"Content-Length": "0"})
    assert uploading.predict({}).json["status"] == "succeeded"


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_an_upload_is_retried_three_times(uploading, uploads, status):
    def answer(got):
        return Reply(status if len(uploads.got) < 4 else 200, {"Content-Length": "0"})

    uploads.put = answer
    body = uploading.predict({}).json
    assert body["status"] == "succeeded", body["error"]
    assert len(uploads.got) == 4
    assert {got.body for got in uploads.got} == {b"contents"}, "each attempt sends the whole file"


def test_an_upload_that_keeps_failing_fails_the_prediction(uploading, uploads):
    uploads.put = lambda got: Reply(503, {"Content-Length": "0"})
    body = uploading.predict({}).json
    assert (body["status"], body["output"]) == ("failed", None) and "503" in body["error"]
    assert "s3cret" not in body["error"]
    assert len(uploads.got) == 4


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413])
def test_a_refused_upload_fails_at_once(uploading, uploads, status):
    uploads.put = lambda got: Reply(status, {"Content-Length": "0"})
    body = uploading.predict({}).json
    assert body["status"] == "failed" and str(status) in body["error"]
    assert len(uploads.got) == 1


def test_a_redirect_that_keeps_the_method_is_followed(uploading, uploads):
    def answer(got):
        if path_of(got) == "/moved":
            return Reply(200, {"Content-Length": "0"})
        return Reply(307, {"Location": "/moved", "Content-Length": "0"})

    uploads.put = answer
    body = uploading.predict({}).json
    assert body["output"] == uploads.url + "/moved", body["error"]
    assert uploads.got[-1].body == b"contents"


def test_files_inside_objects_are_uploaded(uploading, uploads):
    output = uploading.predict({"what": "object"}).json["output"]
    assert output == {
        "a": f"{uploads.url}/up/a.txt",
        "n": 1,
        "deep": {"b": [f"{uploads.url}/up/b.txt", None]},
    }
    assert {path_of(got): got.body for got in uploads.got} == {"/up/a.txt": b"a", "/up/b.txt": b"b"}


def test_the_order_of_a_list_is_kept_however_fast_each_upload_is(uploading, uploads):
    others = threading.Event()

    def answer(got):
        if path_of(got) == "/up/0.txt":
            others.wait(10)
        elif len(uploads.got) == 6:
            others.set()
        return Reply(200, {"Content-Length": "0"})

    uploads.put = answer
    output = uploading.predict({"what": "list", "count": 6}).json["output"]
    assert output == [f"{uploads.url}/up/{i}.txt" for i in range(6)]


def test_files_of_one_name_do_not_overwrite_each_other(uploading, uploads):
    output = uploading.predict({"what": "same name"}).json["output"]
    kept = {uploads.url + path_of(got): got.body for got in uploads.got}
    assert [kept[url] for url in output] == [b"0", b"1", b"2"]


def test_a_link_is_uploaded_under_its_own_name(uploading, uploads):
    output = uploading.predict({"what": "link", "name": "model.glb"}).json["output"]
    assert output == [uploads.url + "/up/model.glb", [uploads.url + "/up/model-1.glb"]]
    assert {got.headers["content-type"] for got in uploads.got} == {"model/gltf-binary"}


def test_a_yielded_link_has_its_own_name(start, store):
    server = start(
        """
import os
from typing import Iterator
from cog import BasePredictor, Path
class Predictor(BasePredictor):
    def predict(self) -> Iterator[Path]:
        with open("blob", "w") as out:
            out.write("glTF")
        os.symlink("blob", "model.glb")
        yield Path("model.glb")
""",
        "--upload-url",
        store.url + "/up",
    )
    assert server.predict({}).json["output"] == [store.url + "/up/model.glb"]
    assert [got.headers["content-type"] for got in store.got] == ["model/gltf-binary"]


def test_yielded_files_of_one_name_do_not_overwrite_each_other(start, store):
    server = start(ITERATOR, "--upload-url", store.url + "/up")
    output = server.predict({}).json["output"]
    kept = {store.url + got.path: got.body for got in store.got}
    assert [kept.get(url) for url in output] == FRAMES, kept


def test_a_name_is_encoded_in_the_url(uploading, uploads):
    body = uploading.predict({"what": "file", "name": "é x#1?.txt"}).json
    assert body["output"] == uploads.url + "/up/%C3%A9%20x%231%3F.txt"
    assert path_of(uploads.got[0]) == "/up/%C3%A9%20x%231%3F.txt"


def test_the_webhook_contains_the_address_of_the_upload(uploading, uploads, receiver):
    uploading.predict({}, webhook=receiver.url)
    assert receiver.wait_terminal()["output"] == uploads.url + "/up/out.txt"


def test_an_upload_that_hangs_can_be_canceled(uploading, uploads):
    release = threading.Event()

    def hang(got):
        release.wait(30)
        return Reply(200, {"Content-Length": "0"})

    uploads.put = hang
    uploading.predict({}, {"Prefer": "respond-async"}, id="hangs")
    until("it uploads", lambda: uploads.got)
    uploading.ask("POST", "/predictions/hangs/cancel")
    body = uploading.ended("hangs", 15)
    release.set()
    assert body["status"] == "canceled", body
    assert uploading.health()["status"] == "READY"


def test_the_environment_can_name_the_url(start, store):
    server = start(
        MODEL, env={"COG_UPLOAD_URL": store.url + "/from-env/\n"}
    )  # as a file or a manifest gives it
    assert server.predict({}).json["output"] == store.url + "/from-env/out.txt"


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_request_can_name_the_url_itself(server, uploading, uploads, store, slash):
    for one in (server, uploading):
        store.got.clear()
        output = one.predict({}, output_file_prefix=f"{store.url}/mine{slash}").json["output"]
        assert output == store.url + "/mine/out.txt"
        assert [got.body for got in store.got] == [b"contents"], "the raw body"
    assert uploads.got == []


def test_uploaded_temporary_files_are_removed(uploading, uploads):
    uploading.predict({"what": "list"})
    assert uploading.temporary_files() == set()
