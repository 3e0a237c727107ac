"""URLs as people write them: the server sends them encoded as RFC 3986 requires, and shows them as
they were given.
"""

from __future__ import annotations

import subprocess

import pytest

from http_harness import Reply
from http_store import Store
from model_sources import model_source
from servers import BINARY, real_python, start_error

MODEL = model_source("http/urls")
ASYNC = {"Prefer": "respond-async"}

#: The path that a client writes, the path that the server requests, and the name of the file.
SPELLED = [
    ("/my photo.png", "/my%20photo.png", "my photo.png"),
    ("/x.png?name=my photo.png", "/x.png?name=my%20photo.png", "x.png"),
    ("/été.png?q=ü", "/%C3%A9t%C3%A9.png?q=%C3%BC", "été.png"),
    ("/100%.png", "/100%25.png", "100%.png"),
    (
        "/100%/a%20b%2Fc+d.png?off=5%&z=%zz",
        "/100%25/a%20b%2Fc+d.png?off=5%25&z=%25zz",
        "a b_c+d.png",
    ),
    ("/a%2fb.png?x=%2F+%7e&y='(*)!'", "/a%2fb.png?x=%2F+%7e&y='(*)!'", "a_b.png"),
    ('/"<a>[b]{c}|^`\\.png', "/%22%3Ca%3E%5Bb%5D%7Bc%7D%7C%5E%60%5C.png", '"<a>[b]{c}|^`_.png'),
    ("/x.png#100% of it", "/x.png", "x.png"),
]
#: URLs that cannot be sent.
REFUSED = [
    "http://a.test/x\r\nHost: b.test",
    "http://a.test/\n",
    "http://a.test/\x00",
    "http://a.test/\x7f",
    "http://a.test/\u0085",
    "http://a b/",
    "http://a\\b/",
    "http://a<b/",
    "http://a\uff0fb/",
    "http://a.test:99999/",
    "http://[::1/",
    "http://[a.test]/",
    "http:/a.test/",
]


@pytest.fixture(scope="module")
def server(start_once):
    return start_once(MODEL)


@pytest.mark.parametrize(("text", "path", "name"), SPELLED)
@pytest.mark.parametrize("where", ["/predictions", "/trainings", "/v1/predictions"])
def test_the_url_of_an_input_is_requested_in_its_encoded_form(
    server, store, where, text, path, name
):
    store.add(path, b"there")
    url = store.url + text
    headers = {"Prefer": "wait"} if where.startswith("/v1") else {}
    body = server.ask("POST", where, {"input": {"file": url}}, **headers).json
    assert body["status"] == "succeeded", body["error"]
    assert body["output"] == [name, "there"]
    assert body["input"] == {"file": url}, "the answer shows it as it was sent"
    assert [got.path for got in store.got] == [path]


def test_the_command_line_requests_urls_in_their_encoded_form_too(tmp_path, store):
    (tmp_path / "predict.py").write_text(MODEL)
    url = store.add("/my%20photo%25.png", b"there").replace("%20", " ").replace("%25", "%")
    done = subprocess.run(
        [
            BINARY,
            "predict",
            "--python",
            real_python(),
            "--predict",
            "predict.py:Predictor",
            "-i",
            f"file={url}",
            tmp_path,
        ],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0 and "my photo%.png" in done.stdout, done.stderr


@pytest.mark.parametrize(("text", "path", "name"), SPELLED)
def test_the_url_of_a_webhook_is_requested_in_its_encoded_form(server, receiver, text, path, name):
    answer = server.predict({}, webhook=receiver.url.removesuffix("/hook") + text)
    assert answer.json["status"] == "succeeded"
    receiver.wait_terminal()
    assert set(receiver.paths) == {path}


@pytest.mark.parametrize("by", ["prefix", "flag"])
def test_the_url_of_an_upload_is_requested_in_its_encoded_form(start, server, store, by):
    prefix = store.url + "/100% é/%2F?key=a b%"
    if by == "flag":
        server = start(MODEL, "--upload-url", prefix)
    body = server.predict(
        {"out": True}, **({"output_file_prefix": prefix} if by == "prefix" else {})
    ).json
    assert body["output"] == store.url + "/100%25%20%C3%A9/%2F/out%20put.txt", body["error"]
    assert [(got.path, got.body) for got in store.got] == [
        ("/100%25%20%C3%A9/%2F/out%20put.txt?key=a%20b%25", b"made")
    ]


@pytest.mark.parametrize("path", ["/a//b", "/a//", "/a%2F", "/a/../b", "/a/./b", "/a:b"])
def test_an_upload_goes_below_the_given_path(server, store, path):
    body = server.predict({"out": True}, output_file_prefix=store.url + path).json
    assert [got.path for got in store.got] == [path.removesuffix("/") + "/out%20put.txt"]
    assert body["output"] == store.url + store.got[0].path


def test_the_address_of_an_upload_is_a_valid_url(server, store):
    store.put = lambda got: Reply(
        201, {"Location": "/kept here/100%.txt?key=s3cret", "Content-Length": "0"}
    )
    assert (
        server.predict({"out": True}, output_file_prefix=store.url).json["output"]
        == store.url + "/kept%20here/100%25.txt"
    )
    store.put = lambda got: Reply(201, {"Location": "http://s3cret@a b/", "Content-Length": "0"})
    assert (
        server.predict({"out": True}, output_file_prefix=store.url).json["output"]
        == store.url + "/out%20put.txt"
    )


#: A Location in the bytes of a server, and the path that is requested next.
LOCATIONS = [
    ("/my photo.png?name=my photo.png", "/my%20photo.png?name=my%20photo.png"),
    ("/100%.png", "/100%25.png"),
    ("/été.png?ü", "/%C3%A9t%C3%A9.png?%C3%BC"),
    ("there now.png", "/there%20now.png"),
    ("at 10:30.png", "/at%2010:30.png"),
    ("/a%20b%2Fc.png#part", "/a%20b%2Fc.png"),
]


def location(text, status=307):
    return Reply(status, {"Location": text.encode().decode("latin-1"), "Content-Length": "0"})


@pytest.mark.parametrize(("text", "path"), LOCATIONS)
def test_a_redirect_is_followed_in_its_encoded_form(server, store, receiver, text, path):
    store.add(path, b"there")
    store.routes["/from.png"] = lambda n: location(text, 302)
    body = server.predict({"file": store.url + "/from.png?key=s3cret"}).json
    assert body["output"] == ["from.png", "there"], body["error"]
    assert store.got[1].path == path
    assert "referer" not in store.got[1].headers, "the redirect must not send a Referer"

    store.got.clear()
    store.put = lambda got: (
        location(text) if got.path == "/out%20put.txt" else Reply(201, {"Content-Length": "0"})
    )
    assert server.predict({"out": True}, output_file_prefix=store.url).json["status"] == "succeeded"
    assert [got.path for got in store.got] == ["/out%20put.txt", path]

    receiver.answer = lambda n: location(text) if n == 1 else 200
    server.predict(
        {},
        webhook=receiver.url.removesuffix("hook") + "?key=s3cret",
        webhook_events_filter=["completed"],
    )
    receiver.wait(2)
    assert receiver.paths[1] == path and "referer" not in receiver.headers[1]


@pytest.mark.parametrize("to", ["http://s3cret@a b/?s3cret", "http://[::1/s3cret", "/\ts3cret"])
def test_a_redirect_to_an_invalid_address_fails(server, store, to):
    body = server.predict({"file": store.redirect("/from.png", to)}).json
    assert (
        body["status"] == "failed" and "redirected to something that is not a URL" in body["error"]
    )
    assert "s3cret" not in body["error"]


@pytest.mark.parametrize("url", REFUSED)
def test_unsendable_urls_are_refused_with_the_name_of_the_field(server, receiver, url):
    for field, loc in (
        ("webhook", []),
        ("output_file_prefix", []),
        ("file", ["input"]),
        ("many", ["input"]),
    ):
        value = [url] if field == "many" else url
        answer = server.predict({field: value}) if loc else server.predict({}, **{field: url})
        assert answer.status == 422, (field, answer.body)
        assert answer.json["detail"][0]["loc"][: 2 + len(loc)] == ["body", *loc, field]
        assert "must be" in answer.json["detail"][0]["msg"]


def test_an_upload_url_that_cannot_be_sent_is_refused_at_the_start(tmp_path):
    (tmp_path / "predict.py").write_text(MODEL)
    for url in ("http://a b/?s3cret", "http://a/\ns3cret"):
        error = start_error("--upload-url", url, tmp_path, code=2)
        assert "--upload-url" in error and "s3cret" not in error


@pytest.fixture(scope="module")
def proxied(start_once):
    """A server that reaches every host by a proxy, and the proxy: a store that gets whole URLs."""
    proxy = Store()
    yield start_once(MODEL, env={"HTTP_PROXY": proxy.url, "NO_PROXY": "", "no_proxy": ""}), proxy
    proxy.close()


@pytest.mark.parametrize(
    ("host", "sent"),
    [
        ("Bücher.Example", "xn--bcher-kva.example"),
        ("b%C3%BCcher.example:8080", "xn--bcher-kva.example:8080"),
        ("例え.テスト", "xn--r8jz45g.xn--zckzah"),
        ("A.Example", "a.example"),
        ("my_service.example", "my_service.example"),
        ("me:p%ss@a.example", "a.example"),
    ],
)
def test_a_host_is_sent_in_lower_case_and_punycode(proxied, host, sent):
    server, proxy = proxied
    proxy.got.clear()
    proxy.routes = {f"http://{sent}/from.txt": lambda n: location(f"http://{host}/to here.txt")}
    proxy.routes[f"http://{sent}/to%20here.txt"] = lambda n: Reply(
        200, {"Content-Length": "5"}, [b"there"]
    )
    body = server.predict({"file": f"http://{host}/from.txt"}).json
    assert body["output"] == ["from.txt", "there"], body["error"]
    assert [got.headers["host"] for got in proxy.got] == [sent, sent]
    assert ("authorization" in proxy.got[0].headers) == ("@" in host)


def test_the_token_goes_to_a_host_in_any_spelling(start, receiver):
    env = {
        "HTTP_PROXY": receiver.url.removesuffix("/hook"),
        "NO_PROXY": "",
        "no_proxy": "",
        "WEBHOOK_AUTH_TOKEN": "t0ken",
    }
    server = start(MODEL, "--webhook-auth-host", "xn--bcher-kva.example,*.Größe.example", env=env)
    for host, told in (
        ("bücher.example", True),
        ("BÜCHER.example", True),
        ("a.größe.example", True),
        ("größe.example", False),
        ("bucher.example", False),
    ):
        del receiver.got[:], receiver.headers[:]
        server.predict({}, webhook=f"http://{host}/hook", webhook_events_filter=["completed"])
        receiver.wait(1)
        assert ("authorization" in receiver.headers[0]) == told, host


def test_a_webhook_sent_again_after_a_kill_has_the_same_url(start, receiver, tmp_path):
    where = ["--working-dir", str(tmp_path / "spool")]
    receiver.answer = lambda n: 503
    server = start(MODEL, *where)
    url = receiver.url.removesuffix("/hook") + "/my hook/100%?q=é"
    server.predict({}, ASYNC, webhook=url, webhook_events_filter=["completed"])
    receiver.wait(1)
    server.kill()
    before = len(receiver.got)
    receiver.answer = lambda n: 200
    start(MODEL, *where)
    receiver.wait(before + 1)
    assert set(receiver.paths) == {"/my%20hook/100%25?q=%C3%A9"}
    assert len(set(receiver.bodies)) == 1


def test_a_repeated_put_fetches_nothing_again(server, store):
    store.add("/my%20photo.png", b"there")
    body = {
        "input": {"file": store.url + "/my photo.png"},
        "output_file_prefix": store.url + "/my dir",
    }
    first, second = (server.ask("PUT", "/predictions/again", body) for _ in range(2))
    assert first.json["status"] == "succeeded" and second.json == first.json
    assert len(store.got) == 1


def test_the_log_does_not_show_the_secret_parts_of_urls(start, receiver):
    server = start(MODEL, env={"COG_LOG_LEVEL": "debug"})
    receiver.answer = lambda n: 404
    there = receiver.url.removesuffix("/hook").replace("http://", "http://me:s3cret w%@")
    server.predict(
        {}, webhook=there + "/my s3cret/100%?key=s3cret", webhook_events_filter=["completed"]
    )
    receiver.wait(1)
    assert server.predict({"file": there + "/gone?key=s3cret"}).json["status"] == "failed"
    assert "s3cret" not in server.log()
