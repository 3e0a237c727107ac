"""The server fetches URLs of inputs before a run, and removes the files after it:
docs/http-api.md#files.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import stat
import tempfile
import threading

import pytest

from http_harness import Reply
from model_sources import model_source
from servers import measures_memory
from waiting import until

MODEL = model_source("http/files")


@pytest.fixture(scope="module")
def server(start_once):
    return start_once(MODEL, "--max-input-file", "100KiB", env={"COG_USER_AGENT": "my-agent/1"})


def one(server, url, name="one"):
    """The output of the model for one input."""
    body = server.predict({name: url}).json
    assert body["status"] == "succeeded", body["error"]
    assert body["input"] == {name: url}, "the answer shows the input as it was sent"
    return body["output"][name]


@pytest.mark.parametrize(
    ("url", "text", "name"),
    [
        ("data:text/plain,hi%20there", "hi there", "file.txt"),
        ("data:,plain", "plain", "file.txt"),
        ("data:text/plain;charset=utf-8,%C3%A9", "é", "file.txt"),
        ("data:text/plain;base64,aGkgdGhlcmU=", "hi there", "file.txt"),
        ("data:text/plain;charset=utf-8;base64,w6k=", "é", "file.txt"),
        ("data:text/plain;base64,aGkgdGhlcmU", "hi there", "file.txt"),
        ("data:text/plain;base64,aGkg%0AdGhlcmU%3D", "hi there", "file.txt"),
        ("data:image/png;base64,aGk=", "hi", "file.png"),
        ("data:image/jpeg;base64,aGk=", "hi", "file.jpg"),
        ("data:application/json,{%22a%22:1}", '{"a":1}', "file.json"),
        ("data:application/x-nobody-knows,hi", "hi", "file"),
        ("data:;base64,aGk=", "hi", "file.txt"),
        ("data:text/plain,", "", "file.txt"),
        ("data:text/plain,a,b;c", "a,b;c", "file.txt"),
        ("DATA:text/plain,hi", "hi", "file.txt"),
    ],
)
def test_a_data_url_is_a_file(server, url, text, name):
    seen = one(server, url)
    assert (seen["text"], seen["name"]) == (text, name)


@pytest.mark.parametrize(
    "url", ["data:text/plain;base64,!!!!", "data:text/plain;base64,aGk=aGk=", "data:nothing"]
)
def test_an_invalid_data_url_is_refused_or_fails(server, url):
    answer = server.predict({"one": url})
    assert answer.status == 422 or answer.json["status"] == "failed", answer.body
    if answer.status == 422:
        assert answer.json["detail"][0]["loc"] == ["body", "input", "one"]
    assert server.predict({"one": "data:,ok"}).json["status"] == "succeeded"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/cat.png", "cat.png"),
        ("/deep/er/cat.png", "cat.png"),
        ("/my%20cat.png", "my cat.png"),
        ("/%C3%A9t%C3%A9.png", "été.png"),
        ("/cat.png?size=large&x=/y.gif", "cat.png"),
        ("/a%2Fb.png", "a_b.png"),
        ("/..%2F..%2Fetc%2Fpasswd", None),
        ("/" + "x" * 300 + ".png", None),
        ("/", None),
        ("/no-extension", "no-extension"),
    ],
)
def test_a_download_is_named_like_the_end_of_its_url(server, store, path, name):
    seen = one(server, store.add(path, b"meow"))
    assert seen["text"] == "meow" and seen["type"] == "Path"
    if name:
        assert seen["name"] == name
    assert "/" not in seen["name"] and len(seen["name"].encode()) <= 255
    if path.endswith(".png"):
        assert seen["name"].endswith(".png")


@pytest.mark.parametrize("name", ["one", "maybe"])
def test_a_path_can_be_optional(server, store, name):
    assert one(server, store.add("/x.txt", b"x"), name)["text"] == "x"
    assert server.predict({"maybe": None}).json["output"]["maybe"] is None


def test_a_file_is_open_for_reading(server, store):
    assert one(server, store.add("/x.txt", b"of a file"), "file") == "of a file"
    assert one(server, "data:,of%20data", "file") == "of data"


def test_a_list_keeps_its_order(server, store):
    urls = [store.add(f"/{n}.txt", str(n).encode()) for n in range(20)]
    body = server.predict({"many": [*urls, "data:,last"]}).json
    assert [seen["text"] for seen in body["output"]["many"]] == [*map(str, range(20)), "last"]
    assert len({seen["path"] for seen in body["output"]["many"]}) == 21


def test_the_same_url_twice_and_the_same_name_twice_are_two_files(server, store):
    same = store.add("/a/x.txt", b"a")
    other = store.add("/b/x.txt", b"b")
    seen = server.predict({"many": [same, other, same]}).json["output"]["many"]
    assert [s["text"] for s in seen] == ["a", "b", "a"]
    assert len({s["path"] for s in seen}) == 3


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed(server, store, status):
    target = store.add("/target.txt", b"there")
    store.redirect("/step", target, status)
    assert one(server, store.redirect("/from.txt", store.url + "/step", status))["text"] == "there"


def test_a_download_sends_the_agent_and_the_trace_headers(server, store):
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    server.predict({"one": store.add("/x", b"x")}, {"traceparent": trace, "tracestate": "a=b"})
    headers = store.got[0].headers
    assert headers["user-agent"] == "my-agent/1"
    assert headers["traceparent"].split("-")[1] == trace.split("-")[1]
    assert headers["tracestate"] == "a=b"


def closed_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def endless():
    while True:
        yield b"x" * 65536


BAD = {
    "404": (Reply(404, {"Content-Length": "4"}, [b"page"]), "404"),
    "403": (Reply(403, {"Content-Length": "0"}), "403"),
    "410": (Reply(410, {"Content-Length": "0"}), "410"),
    "truncated": (Reply(200, {"Content-Length": "100", "Connection": "close"}, [b"half"]), ""),
    "endless": (Reply(200, {}, endless()), "limit"),
    "too large": (Reply(200, {"Content-Length": str(200_000)}, [b"x" * 200_000]), "limit"),
    "redirect to a file": (
        Reply(302, {"Location": "file:///etc/passwd", "Content-Length": "0"}),
        "redirect",
    ),
    "redirect to nothing": (Reply(302, {"Content-Length": "0"}), ""),
}


@pytest.mark.parametrize("case", BAD)
def test_a_download_that_fails_fails_the_prediction(server, store, case):
    reply, text = BAD[case]
    store.routes["/bad.txt"] = lambda n: reply
    body = server.predict({"one": store.url + "/bad.txt?key=s3cret"}).json
    assert body["status"] == "failed" and body["output"] is None
    assert "one" in body["error"] and text in body["error"], body["error"]
    assert "s3cret" not in body["error"]
    assert server.predict({"one": "data:,ok"}).json["status"] == "succeeded", "the slot is free"


def test_a_redirect_in_a_circle_fails(server, store):
    body = server.predict({"one": store.redirect("/circle", "/circle")}).json
    assert body["status"] == "failed" and "redirect" in body["error"]
    assert len(store.got) <= 30


def test_an_unknown_host_fails_the_prediction(server):
    for host in (f"127.0.0.1:{closed_port()}", "does-not-exist.invalid"):
        body = server.predict({"one": f"http://{host}/x.txt"}).json
        assert body["status"] == "failed" and body["error"]


def test_one_bad_file_of_many_fails_the_prediction_and_leaves_nothing(server, store):
    urls = [store.add(f"/{n}", b"x") for n in range(5)]
    body = server.predict({"many": [*urls, store.url + "/missing"]}).json
    assert body["status"] == "failed" and "404" in body["error"]
    assert server.inputs() == []


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_source_that_fails_briefly_is_retried(server, store, status):
    store.add("/later.txt", b"now")
    good = store.routes["/later.txt"]
    store.routes["/later.txt"] = lambda n: (
        good(n) if n > 2 else Reply(status, {"Content-Length": "0"})
    )
    assert one(server, store.url + "/later.txt")["text"] == "now"


REFUSED = ["/etc/passwd", "etc/passwd", "file:///etc/passwd", "FILE:///etc/passwd", "ftp://example.com/x", "gs://b/x",
           "javascript:x", "", " ", "http://", "https:///x", "C:\\x", 5, True, {}, []]  # fmt: skip


@pytest.mark.parametrize("value", REFUSED, ids=json.dumps)
@pytest.mark.parametrize("name", ["one", "maybe", "file"])
def test_an_invalid_url_is_refused(server, name, value):
    answer = server.predict({name: value})
    assert answer.status == 422, answer.body
    assert answer.json["detail"][0]["loc"] == ["body", "input", name]
    assert b"root:" not in answer.body


def test_a_url_in_a_text_input_stays_text(server, store):
    for url in (store.add("/x.txt", b"x"), "data:,x", "file:///etc/passwd"):
        assert server.predict({"text": url}).json["output"]["text"] == url
    assert store.got == []


@pytest.mark.parametrize("end", ["", "raise", "hang"])
def test_downloaded_files_are_removed_with_the_prediction(server, store, end):
    inputs = {"one": store.add("/a", b"a"), "many": [store.add("/b", b"b"), "data:,c"], "end": end}
    server.predict(inputs, {"Prefer": "respond-async"}, id=f"files{end}")
    if end == "hang":
        until(
            "the files are there",
            lambda: len([p for d in server.inputs() for p in d.glob("*/*")]) == 3,
        )
        server.ask("POST", f"/predictions/files{end}/cancel")
    server.ended(f"files{end}")
    assert server.inputs() == []


def test_up_to_eight_downloads_run_at_once(server, store):
    lock = threading.Lock()
    eight = threading.Event()
    now = [0, 0]

    def slow(n):
        with lock:
            now[0] += 1
            now[1] = max(now)
            if now[0] == 8:
                eight.set()
        eight.wait(10)
        with lock:
            now[0] -= 1
        return Reply(200, {"Content-Length": "1"}, [b"x"])

    urls = []
    for n in range(24):
        store.routes[f"/{n}"] = slow
        urls.append(f"{store.url}/{n}")
    assert server.predict({"many": urls}).json["status"] == "succeeded"
    assert now[1] == 8


def test_a_prediction_whose_input_is_still_downloading_can_be_canceled(server, store):
    release = threading.Event()

    def never(n):
        release.wait(30)
        return Reply(200, {"Content-Length": "1"}, [b"x"])

    store.routes["/slow"] = never
    asked = server.predict({"one": store.url + "/slow"}, {"Prefer": "respond-async"}, id="slow")
    assert asked.json["status"] == "starting"
    until("it downloads", lambda: store.got)
    assert server.ask("POST", "/predictions/slow/cancel").status == 200
    body = server.ended("slow", 5)
    assert (body["status"], body["output"], body["logs"]) == ("canceled", None, "")
    assert server.predict({"one": "data:,ok"}).json["status"] == "succeeded", "the slot is free"
    release.set()


def test_a_client_that_leaves_during_the_download_cancels(server, store):
    release = threading.Event()
    store.routes["/slow"] = lambda n: Reply(
        200, {"Content-Length": "1"}, [b"x"] if release.wait(30) else []
    )
    body = json.dumps({"id": "left", "input": {"one": store.url + "/slow"}}).encode()
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        head = f"POST /predictions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        client.sendall(head.encode() + body)
        until("it downloads", lambda: store.got)
    assert server.ended("left", 5)["status"] == "canceled"
    release.set()


def test_a_large_file_does_not_pass_through_the_memory_of_the_server(start, store):
    server = start(MODEL)
    server.predict({"one": store.add("/small", b"x")})
    before = server.memory()
    part = os.urandom(1 << 20)
    store.routes["/large"] = lambda n: Reply(200, {"Content-Length": str(64 << 20)}, [part] * 64)
    assert one(server, store.url + "/large")["size"] == 64 << 20
    assert server.memory() - before < 20 << 20


def test_a_large_data_url_arrives_whole(start):
    server = start(MODEL)
    data = os.urandom(20 << 20)
    seen = one(server, "data:application/octet-stream;base64," + base64.b64encode(data).decode())
    assert seen["size"] == len(data)


def test_the_file_of_a_default_belongs_to_the_model(start, tmp_path):
    asset = tmp_path / "asset.txt"
    asset.write_text("of the model")
    (tmp_path / "model").mkdir()
    server = start(
        f"""
from cog import BasePredictor, Input, Path
class Predictor(BasePredictor):
    def predict(self, path: Path = Input(default=Path({str(asset)!r}))) -> str:
        return open(path).read()
""",
        model_dir=tmp_path / "model",
    )
    for _ in range(2):
        assert server.predict({}).json["output"] == "of the model"
    assert asset.exists()


@measures_memory
def test_a_large_data_url_is_in_memory_once(start):
    server = start(MODEL)
    server.predict({"one": "data:,x"})
    body = json.dumps(
        {
            "input": {
                "one": "data:application/octet-stream;base64,"
                + base64.b64encode(bytes(36 << 20)).decode()
            }
        }
    )
    before = server.memory()
    answer = server.ask("POST", "/predictions", body, Content_Type="application/json")
    assert answer.json["output"]["one"]["size"] == 36 << 20, answer.json["error"]
    assert server.memory() - before < len(body) + (20 << 20)


MOVES = model_source("http/files_moves")
FORMS = {
    "sync": (MOVES, ()),
    "async": (model_source("http/files_async"), ()),
    "several runners": (MOVES, ("--runners", "2")),
}


def sources(server, store):
    """The same file as a data URL, as the URL of a source and as an upload."""
    form = b'--b\r\nContent-Disposition: form-data; name="content"; filename="x.txt"\r\n\r\nthe file\r\n--b--\r\n'
    stored = server.ask(
        "POST", "/v1/files", form, Content_Type="multipart/form-data; boundary=b"
    ).json
    return ["data:text/plain,the%20file", store.add("/x.txt", b"the file"), stored["urls"]["get"]]


@pytest.fixture
def shared_memory():
    path = tempfile.mkdtemp(dir="/dev/shm")
    yield path
    shutil.rmtree(path)


@pytest.mark.parametrize("form", FORMS)
def test_a_model_may_rename_and_link_its_input(shared_memory, start, store, form):
    """Even if the working directory is on another file system."""
    source, flags = FORMS[form]
    server = start(source, *flags, "--working-dir", shared_memory)
    for url in sources(server, store):
        for how in ("os.rename", "os.replace", "rename", "replace", "os.link"):
            answer = server.predict({"file": url, "how": how}).json
            assert answer["output"] == ["the file"] * 2, (url, how, answer["error"])
            for left in server.temporary_files():
                left.unlink()
    assert server.inputs() == []


def test_the_files_of_inputs_are_private(start, store):
    server = start(MODEL)
    server.predict(
        {"one": store.add("/a", b"a"), "many": ["data:,b"], "end": "hang"},
        {"Prefer": "respond-async"},
        id="p",
    )
    until(
        "the files are there", lambda: len([p for d in server.inputs() for p in d.glob("*/*")]) == 2
    )
    (root,) = {directory.parent for directory in server.inputs()}
    for path in [root, *root.rglob("*")]:
        state = path.lstat()
        assert (state.st_uid, stat.S_IMODE(state.st_mode) & 0o077) == (os.geteuid(), 0), path
    server.ask("POST", "/predictions/p/cancel")
    server.ended("p")


REMOVES = model_source("http/files_removes")


@pytest.mark.parametrize("how", ["remove", "all"])
def test_a_model_that_empties_the_temporary_directory_gets_its_next_file(start, tmp_path, how):
    server = start(REMOVES, "--working-dir", str(tmp_path / "spool"))
    server.predict({"file": "data:,first", "how": how})
    assert server.predict({"file": "data:,second"}).json["output"] == "second"


def test_a_directory_open_to_others_gets_no_file(start, tmp_path):
    server = start(REMOVES, "--working-dir", str(tmp_path / "spool"))
    server.predict({"how": "open"})
    answer = server.predict({"file": "data:,x"}).json
    assert (
        answer["status"] == "failed" and "not a directory of this user alone" in answer["error"]
    ), answer
    server.predict({"how": "close"})
    assert server.predict({"file": "data:,x"}).json["output"] == "x"


def test_input_files_are_in_the_temporary_directory_of_the_model(start, tmp_path):
    server = start(MODEL, "--runner-env", f"TMPDIR={tmp_path}")
    assert one(server, "data:,x")["path"].startswith(f"{tmp_path}/coggo-inputs-")
    elsewhere = start(MODEL, env={"TMPDIR": "/nowhere/at/all"})
    assert one(elsewhere, "data:,x")["path"].startswith("/tmp/coggo-inputs-")


def test_a_file_stored_by_another_server_can_be_an_input(start):
    """Its URL there returns a description, but a model needs the contents."""
    source = """
from cog import BasePredictor, Path


class Predictor(BasePredictor):
    def predict(self, file: Path) -> str:
        return f"{file.name}: {file.read_text()}"
"""
    has, asks, closed = (
        start(source),
        start(source),
        start(source, env={"COGGO_AUTH_TOKEN": "4711"}),
    )
    form = b'--b\r\nContent-Disposition: form-data; name="content"; filename="x.txt"\r\n\r\nthe file\r\n--b--\r\n'
    kind = {"Content_Type": "multipart/form-data; boundary=b"}
    url = has.ask("POST", "/v1/files", form, **kind).json["urls"]["get"]
    assert [server.predict({"file": url}).json["output"] for server in (has, asks)] == [
        "x.txt: the file"
    ] * 2
    hidden = closed.ask("POST", "/v1/files", form, **kind, Authorization="Bearer 4711").json[
        "urls"
    ]["get"]
    assert (
        asks.predict({"file": hidden}).json["error"]
        == f"input file: GET {hidden}/download: 401 Unauthorized"
    )
