"""The URLs in answers are those by which the client reaches the server, behind any proxies."""

from __future__ import annotations

import json
import re
import socket
import urllib.parse

import pytest

from servers import start_error

MODEL = """
from cog import BasePredictor, Path
class Predictor(BasePredictor):
    def predict(self, file: Path = None) -> str:
        return file.read_text() if file else "hello"
    def train(self) -> str:
        return "trained"
"""
FORM = b'--b\r\nContent-Disposition: form-data; name="content"; filename="f.txt"\r\n\r\nstored\r\n--b--\r\n'
MULTIPART = {"Content-Type": "multipart/form-data; boundary=b"}


@pytest.fixture(scope="module")
def server(start_once):
    return start_once(MODEL)


@pytest.fixture(scope="module")
def below(start_once):
    return start_once(MODEL, "--path-prefix", "/models/a")


def given_out(server, **headers):
    """Every URL in the answers about one prediction and one file, by its place."""
    made = server.ask("POST", "/v1/predictions", {}, Prefer="wait", **headers).json
    stored = server.ask("POST", "/v1/files", FORM, **MULTIPART, **headers).json
    for _ in range(101):  # for a second page
        if server.get("/v1/predictions").json["next"]:
            break
        server.predict({})
    found = {f"urls.{name}": url for name, url in made["urls"].items()}
    found["the same later"] = server.get(f"/v1/predictions/{made['id']}", **headers).json["urls"][
        "get"
    ]
    found["one that was asked for elsewhere"] = server.get(
        f"/v1/predictions/{server.predict({}).json['id']}", **headers
    ).json["urls"]["get"]
    found["next"] = server.get("/v1/predictions", **headers).json["next"]
    found["the model"] = server.get("/v1/models/acme/thing", **headers).json["url"]
    found["a file"] = stored["urls"]["get"]
    found["files"] = server.get("/v1/files", **headers).json["results"][0]["urls"]["get"]
    return found


def reached(server, found, strip):
    """Return whether each URL leads to an answer, after a proxy removed ``strip``."""
    for name, url in found.items():
        parts = urllib.parse.urlsplit(url)
        path = parts.path.removeprefix(strip) + ("?" + parts.query if parts.query else "")
        method = "POST" if name == "urls.cancel" else "GET"
        assert server.ask(method, path).status == 200, (name, url)


FORWARDED = [
    ({}, "http", ""),
    ({"X-Forwarded-Proto": "https"}, "https", ""),
    ({"X-Forwarded-Proto": "HTTPS"}, "https", ""),
    ({"X-Forwarded-Proto": "https, http"}, "https", ""),
    ({"X-Forwarded-Proto": " https ,http,http"}, "https", ""),
    ({"X-Forwarded-Proto": "http, https"}, "http", ""),
    ({"X-Forwarded-Proto": "javascript"}, "http", ""),
    ({"X-Forwarded-Proto": ""}, "http", ""),
    ({"X-Forwarded-Proto": "httpsx"}, "http", ""),
    ({"X-Forwarded-Prefix": "/models/a"}, "http", "/models/a"),
    ({"X-Forwarded-Prefix": "/models/a/"}, "http", "/models/a"),
    ({"X-Forwarded-Prefix": "/outer, /inner/"}, "http", "/outer/inner"),
    ({"X-Forwarded-Prefix": "/v1.2_x~y-z"}, "http", "/v1.2_x~y-z"),
    ({"X-Forwarded-Prefix": "/"}, "http", ""),
    ({"X-Forwarded-Prefix": ""}, "http", ""),
    ({"X-Forwarded-Proto": "https", "X-Forwarded-Prefix": "/a"}, "https", "/a"),
]


@pytest.mark.parametrize(("headers", "scheme", "prefix"), FORWARDED, ids=str)
def test_urls_go_through_the_proxies_of_the_request(server, headers, scheme, prefix):
    found = given_out(server, **headers)
    start = f"{scheme}://127.0.0.1:{server.port}{prefix}/"
    for name, url in found.items():
        path = "docs" if name == "urls.web" else "v1/"
        assert url.startswith(start + path), (name, url)
    reached(server, found, prefix)


#: Prefixes with which a client might try to inject something into a URL, a page or a log.
HOSTILE = [
    "//evil.example",
    "/a//evil.example",
    "https://evil.example",
    "evil.example",
    "models/a",
    "/..",
    "/a/../b",
    "/./a",
    "/.a",
    "/a/%2e%2e",
    "/a%2fb",
    "/a?b",
    "/a#b",
    "/a;b",
    "/a:b",
    "/@evil.example",
    "/a\\b",
    "/\\evil.example",
    "/a b",
    "/a\tb",
    '/a"b',
    "/a'b",
    "/<script>alert(1)</script>",
    "/`id`",
    "/$(id)",
    "/a&b",
    "/é",
    "/a, evil",
    "/a, //evil.example",
    "javascript:alert(1)",
    "/" + "a" * 600,
    "/a" * 300,
]


@pytest.mark.parametrize("prefix", HOSTILE)
def test_a_prefix_that_is_not_a_path_is_ignored(server, prefix):
    headers = {"X-Forwarded-Prefix": prefix.encode().decode("latin-1")}
    plain = f"http://127.0.0.1:{server.port}/v1/"
    assert (
        server.ask("POST", "/v1/predictions", {}, **headers).json["urls"]["get"].startswith(plain)
    )
    assert server.get("/", **headers).json["predictions_url"] == "/predictions"
    assert "servers" not in server.get("/openapi.json", **headers).json
    for path in ("/docs", "/docs/media"):
        assert server.get(path, **headers).body == server.get(path).body, (
            "the page must not contain parts of the request"
        )


def test_the_paths_of_the_first_page_and_of_the_document_have_the_prefix(server, below):
    for one, headers in ((server, {"X-Forwarded-Prefix": "/models/a"}), (below, {})):
        links = one.get("/", **headers).json
        versions = {"cog_version", "coggo_version"}
        assert len(links) >= 12
        assert all(
            path.startswith("/models/a/") for name, path in links.items() if name not in versions
        )
        assert re.match(r"\d", links["cog_version"])
        document = one.get("/openapi.json", **headers).json
        assert document.pop("servers") == [{"url": "/models/a"}]
        document.pop("x-coggo-model")  # each has its own directory
        other = server.get("/openapi.json").json
        assert document == {name: other[name] for name in other if name != "x-coggo-model"}


@pytest.mark.parametrize("headers", [{}, {"X-Forwarded-Prefix": "/other"}], ids=str)
def test_a_prefix_of_the_operator_overrides_that_of_a_header(below, headers):
    found = given_out(below, **headers)
    for name, url in found.items():
        assert url.startswith(f"http://127.0.0.1:{below.port}/models/a/"), (name, url)
    for strip in ("/models/a", ""):
        reached(below, found, strip)


def test_every_path_is_served_with_and_without_the_prefix(below):
    for path in (
        "/livez",
        "/docs",
        "/docs/media",
        "/openapi.json",
        "/predictions",
        "/v1/predictions",
        "/metrics",
        "/nowhere",
    ):
        answer, plain = below.get("/models/a" + path), below.get(path)
        assert answer.status == plain.status, path
    assert below.get("/models/a").json == below.get("/models/a/").json == below.get("/").json
    for path in (
        "/models/ab/livez",
        "/models",
        "/models/a//livez",
        "/models/a/models/a/livez",
        "/Models/a/livez",
    ):
        assert below.get(path).status == 404, path
    id = "a%2Fb%20c%2E."
    made = below.ask("PUT", f"/models/a/predictions/{id}", {"input": {}})
    assert (made.status, made.json["id"]) == (200, "a/b c..")
    assert (
        below.get(f"/models/a/predictions/{id}").json
        == below.get(f"/predictions/{id}").json
        == made.json
    )
    for dots in (".", ".."):
        assert below.ask("PUT", f"/models/a/predictions/{dots}", {}).json["id"] == dots


def test_the_token_is_needed_below_the_prefix_too(start):
    server = start(MODEL, "--path-prefix", "/a", env={"COGGO_AUTH_TOKEN": "4711"})
    for path, status in (
        ("/livez", 200),
        ("/health-check", 200),
        ("/predictions", 401),
        ("/docs", 401),
        ("/v1/files", 401),
    ):
        assert server.get("/a" + path).status == status
    made = server.ask(
        "POST", "/a/v1/predictions", {}, Prefer="wait", Authorization="Bearer 4711"
    ).json
    stream = urllib.parse.urlsplit(made["urls"]["stream"])
    assert server.get(f"{stream.path}?{stream.query}").status == 200, "its key opens it"
    assert server.get(stream.path).status == 401
    assert server.ask("POST", "/a/predictions", {}, Origin="https://evil.example").status == 403


@pytest.mark.parametrize("prefix", ["", "/outer/inner"])
def test_an_uploaded_file_is_an_input_by_its_returned_url(server, prefix):
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-Prefix": prefix}
    url = server.ask("POST", "/v1/files", FORM, **MULTIPART, **headers).json["urls"]["get"]
    assert url.startswith("https://") and f"{prefix}/v1/files/" in url
    assert server.predict({"file": url}).json["output"] == "stored", (
        "the server did not download it"
    )


def test_a_client_without_a_host_header_gets_urls_of_the_address_it_connected_to(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as client:
        client.sendall(b"GET /v1/models/acme/thing HTTP/1.0\r\n\r\n")
        body = b"".join(iter(lambda: client.recv(65536), b"")).partition(b"\r\n\r\n")[2]
    assert json.loads(body)["url"] == f"http://127.0.0.1:{server.port}/v1/models/acme/thing"


def test_a_webhook_has_the_urls_of_the_client(server, receiver):
    headers = {"X-Forwarded-Proto": "https, http", "X-Forwarded-Prefix": "/models/a"}
    made = server.ask("POST", "/v1/predictions", {"webhook": receiver.url}, **headers).json
    assert receiver.wait_terminal()["urls"] == made["urls"]
    assert all(
        url.startswith(f"https://127.0.0.1:{server.port}/models/a/")
        for url in made["urls"].values()
    )


@pytest.mark.parametrize(
    "prefix", ["models", "//a", "/a b", "/a?b", "/..", "https://x/", "/<b>", "/%61"]
)
def test_a_prefix_of_the_operator_must_be_a_path(tmp_path, prefix):
    (tmp_path / "predict.py").write_text(MODEL)
    assert "--path-prefix" in start_error(f"--path-prefix={prefix}", tmp_path, code=2)


def test_a_slash_at_the_end_of_the_prefix_is_ignored(start):
    server = start(MODEL, "--path-prefix", "/a/")
    assert json.loads(server.get("/a/").body)["predictions_url"] == "/a/predictions"
