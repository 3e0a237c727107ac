"""Downloads: content encoding, the name of the file, and cookies between redirects."""

from __future__ import annotations

import gzip
import zlib

import pytest

from http_harness import Reply
from http_store import Store

MODEL = """
from typing import Any, List
from cog import BasePredictor, Path

class Predictor(BasePredictor):
    def predict(self, file: Path = None, many: List[Path] = []) -> Any:
        return [[f.name, f.read_bytes().decode()] for f in many] if file is None else [file.name, file.read_bytes().decode()]
"""
TEXT = b"a,b\n" * 1000
LIMIT = 4 << 20


@pytest.fixture(scope="module")
def server(start_once):
    return start_once(MODEL, "--max-input-file", str(LIMIT))


def flate(data):
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


ENCODED = {
    "gzip": gzip.compress(TEXT),
    "X-GZIP": gzip.compress(TEXT),
    "deflate": zlib.compress(TEXT),
    "Deflate": flate(TEXT),
    "deflate, gzip": gzip.compress(zlib.compress(TEXT)),
    "gzip, identity": gzip.compress(TEXT),
    "aws-chunked,gzip": gzip.compress(TEXT),
    "identity": TEXT,
    "": TEXT,
}


@pytest.mark.parametrize("coding", ENCODED)
@pytest.mark.parametrize("length", ["known", "unknown"])
def test_a_file_is_decoded_from_its_content_encoding(server, store, coding, length):
    url = store.add("/x.csv", ENCODED[coding], Content_Encoding=coding)
    if length == "unknown":
        store.routes["/x.csv"] = lambda n: Reply(
            200, {"Content-Encoding": coding}, [ENCODED[coding]]
        )
    body = server.predict({"file": url}).json
    assert body["status"] == "succeeded", body["error"]
    assert body["output"] == ["x.csv", TEXT.decode()]
    assert store.got[0].headers["accept-encoding"] == "identity", (
        "the server does not ask for an encoding"
    )


ZEROS = gzip.compress(bytes(32 << 20))
BAD = {
    "unknown": ("br", b"x", '"br"'),
    "one of them unknown": ("gzip, zstd", b"x", '"zstd"'),
    "too many": (", ".join(["gzip"] * 50), b"x", "50 Content-Encodings"),
    "not encoded": ("gzip", TEXT, "invalid header"),
    "cut": ("gzip", gzip.compress(TEXT)[:-9], "unexpected EOF"),
    "damaged": ("deflate", zlib.compress(TEXT)[:-4] + b"\0\0\0\0", "checksum"),
    "too large": ("gzip", gzip.compress(bytes(LIMIT + 1)), f"limit of {LIMIT} bytes"),
    "a bomb": ("gzip", ZEROS, f"limit of {LIMIT} bytes"),
    "a bomb in a bomb": ("gzip, gzip", gzip.compress(ZEROS), f"limit of {LIMIT} bytes"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_file_with_an_invalid_encoding_fails(server, store, case):
    coding, data, text = BAD[case]
    body = server.predict(
        {"file": store.add("/x.csv?key=s3cret", data, Content_Encoding=coding)}
    ).json
    assert body["status"] == "failed" and "input file" in body["error"] and text in body["error"], (
        body["error"]
    )
    assert "s3cret" not in body["error"]
    assert list((server.spool() / "inputs").glob("*")) == []


def test_a_decompression_bomb_fails_with_any_limit_and_uses_little_memory(start, store):
    server = start(MODEL, "--max-input-file", "8GiB")
    before = server.memory()
    body = server.predict({"file": store.add("/x.bin", ZEROS, Content_Encoding="gzip")}).json
    assert body["status"] == "failed" and "200 times as large" in body["error"]
    assert server.memory() - before < 20 << 20


@pytest.mark.parametrize(
    ("path", "headers", "name"),
    [
        (
            "/get?id=7",
            {"Content-Disposition": 'attachment; filename="cat.png"', "Content-Type": "text/plain"},
            "cat.png",
        ),
        ("/get", {"Content-Disposition": "attachment; filename=my photo.png"}, "my photo.png"),
        (
            "/get",
            {
                "Content-Disposition": "attachment; filename=x.png; filename*=UTF-8''%C3%A9t%C3%A9.png"
            },
            "été.png",
        ),
        (
            "/get",
            {
                "Content-Disposition": 'attachment; filename="../../../etc/passwd"',
                "Content-Type": "image/png",
            },
            "passwd.png",
        ),
        (
            "/get",
            {"Content-Disposition": "attachment; filename*=UTF-8''..%2F..%00%0Ax.png"},
            "__x.png",
        ),
        (
            "/get",
            {"Content-Disposition": 'attachment; filename=".."', "Content-Type": "image/png"},
            "get.png",
        ),
        (
            "/get",
            {"Content-Disposition": f'attachment; filename="{"x" * 5000}.png"'},
            "x" * 196 + ".png",
        ),
        ("/", {"Content-Disposition": 'attachment; filename="cat.png"'}, "cat.png"),
        ("/get", {"Content-Type": "image/png; q=1"}, "get.png"),
        ("/v1.5", {"Content-Type": "application/json"}, "v1.5.json"),
        ("/get", {"Content-Type": "application/octet-stream"}, "get"),
        ("/get", {"Content-Type": "nobody/knows"}, "get"),
        ("/get", {}, "get"),
        (
            "/cat.png",
            {"Content-Disposition": 'attachment; filename="dog.jpg"', "Content-Type": "image/jpeg"},
            "cat.png",
        ),
    ],
)
def test_a_url_without_an_extension_gets_the_file_name_of_the_answer(
    server, store, path, headers, name
):
    url = store.add(path, b"meow", **headers)
    assert server.predict({"file": url}).json["output"] == [name, "meow"]


def test_the_file_name_comes_from_the_last_answer_of_the_redirects(server, store):
    store.add("/end", b"meow", Content_Disposition='attachment; filename="cat.png"')
    assert server.predict({"file": store.redirect("/start", "/end")}).json["output"] == [
        "cat.png",
        "meow",
    ]


def gate(store, path, to):
    """A URL that sets a cookie and redirects to another one, which requires it."""
    store.routes[path] = lambda n: Reply(
        302, {"Location": to, "Content-Length": "0", "Set-Cookie": "key=1"}
    )

    def behind(n):
        asked = [got for got in store.got if got.path == to][n - 1]
        if asked.headers.get("cookie") == "key=1":
            return Reply(200, {"Content-Length": "5"}, [b"there"])
        return Reply(403, {"Content-Length": "0"})

    store.routes[to] = behind
    return store.url + path


def test_cookies_are_kept_within_one_chain_of_redirects_only(server, store):
    url = gate(store, "/start.txt", "/end.txt")
    for _ in range(2):
        store.got.clear()
        assert server.predict({"file": url}).json["output"] == ["start.txt", "there"]
        assert ["cookie" in got.headers for got in store.got] == [False, True]
    assert "403" in server.predict({"file": store.url + "/end.txt"}).json["error"]
    body = server.predict({"many": [url, store.url + "/end.txt"]}).json
    assert body["status"] == "failed" and "input many/1" in body["error"], (
        "not even for another input"
    )


def test_each_attempt_begins_without_cookies(server, store):
    cookies = []

    def start(n):
        cookies.append(store.got[-1].headers.get("cookie"))
        return Reply(302, {"Location": "/end.txt", "Content-Length": "0", "Set-Cookie": f"key={n}"})

    def end(n):
        cookies.append(store.got[-1].headers.get("cookie"))
        return (
            Reply(503, {"Content-Length": "0"})
            if n == 1
            else Reply(200, {"Content-Length": "5"}, [b"there"])
        )

    store.routes.update({"/start.txt": start, "/end.txt": end})
    assert server.predict({"file": store.url + "/start.txt"}).json["output"] == [
        "start.txt",
        "there",
    ]
    assert cookies == [None, "key=1", None, "key=2"]


@pytest.fixture(scope="module")
def proxied(start_once):
    """A server that reaches every host by a proxy, and the proxy: a store that gets whole URLs."""
    made = Store()
    yield start_once(MODEL, env={"HTTP_PROXY": made.url, "NO_PROXY": "", "no_proxy": ""}), made
    made.close()


@pytest.mark.parametrize(
    ("cookie", "to", "shown"),
    [
        ("key=1", "http://b.example/end.txt", False),
        ("key=1; Domain=b.example", "http://b.example/end.txt", False),
        ("key=1; Domain=example", "http://b.example/end.txt", False),
        ("key=1; Domain=a.example", "http://sub.a.example/end.txt", False),
        ("key=1; Domain=.a.example", "http://a.example/end.txt", True),
        ("key=1; Secure", "http://a.example/end.txt", False),
        ("key=" + "x" * 5000, "http://a.example/end.txt", False),
    ],
)
def test_a_cookie_is_sent_to_its_own_host_only(proxied, cookie, to, shown):
    server, proxy = proxied
    proxy.got.clear()
    proxy.routes["http://a.example/start.txt"] = lambda n: Reply(
        302, {"Location": to, "Content-Length": "0", "Set-Cookie": cookie}
    )
    proxy.routes[to] = lambda n: Reply(200, {"Content-Length": "5"}, [b"there"])
    assert server.predict({"file": "http://a.example/start.txt"}).json["output"] == [
        "start.txt",
        "there",
    ]
    assert ["cookie" in got.headers for got in proxy.got] == [False, shown]
