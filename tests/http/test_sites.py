"""Pages of other sites must not use the server through the browser of a user who can reach it:
docs/security.md.
"""

from __future__ import annotations

import pytest

from servers import start_error

MODEL = """
from typing import Iterator
from cog import BasePredictor, streaming
class Predictor(BasePredictor):
    @streaming
    def predict(self) -> Iterator[str]:
        yield "hello"
    def train(self) -> str:
        return "trained"
"""
APP, EVIL = "https://app.example.com", "https://evil.example"

#: Requests that change something.
CHANGES = [
    ("POST", "/predictions"),
    ("PUT", "/predictions/x"),
    ("POST", "/predictions/x/cancel"),
    ("POST", "/trainings"),
    ("PUT", "/trainings/x"),
    ("POST", "/trainings/x/cancel"),
    ("POST", "/shutdown"),
    ("POST", "/v1/predictions"),
    ("POST", "/v1/predictions/x/cancel"),
    ("POST", "/v1/models/a/b/predictions"),
    ("POST", "/v1/deployments/a/b/predictions"),
    ("POST", "/v1/files"),
    ("DELETE", "/v1/files/x"),
]

#: Headers of a page of another site, in a current browser and in an older one.
FOREIGN = [
    {"Sec-Fetch-Site": "cross-site", "Origin": EVIL},
    {"Sec-Fetch-Site": "cross-site", "Origin": "null"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site", "Origin": "http://localhost:3000"},
    {"Origin": EVIL},
    {"Origin": "null"},
    {"Origin": "http://localhost:3000"},
]

#: Headers of browsers: a current one on a page of localhost, and on a page with another name over
#: plain HTTP.
BROWSERS = [
    {
        "Sec-Fetch-Site": "same-origin",
        "Sec-Fetch-Mode": "cors",
        "User-Agent": "Mozilla/5.0",
        "Accept-Language": "en",
    },
    {"Sec-Fetch-Site": "none"},
    {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64)"},
    {"User-Agent": "named by a page", "Accept-Language": "de"},
    {"User-Agent": "named by a page", "Accept-Language": ""},
    {"Origin": "http://evil.example:5000"},
]

PROGRAMS = [
    {},
    {"User-Agent": "curl/8.14.1", "Accept": "*/*"},
    {"User-Agent": "python-requests/2.32.3", "Accept-Encoding": "gzip, deflate", "Accept": "*/*"},
    {"User-Agent": "node", "Accept": "*/*", "Accept-Language": "*", "Sec-Fetch-Mode": "cors"},
    {"User-Agent": "kube-probe/1.34"},
]

PATHS = [
    "/",
    "/docs",
    "/health-check",
    "/openapi.json",
    "/predictions",
    "/predictions/x",
    "/predictions/x/stream",
]
PATHS += [
    "/v1/predictions",
    "/v1/predictions/x/stream",
    "/v1/files",
    "/metrics",
    "/livez",
    "/nowhere",
]


@pytest.fixture(scope="module")
def server(start_once):
    return start_once(MODEL)


@pytest.fixture(scope="module")
def open_to_app(start_once):
    return start_once(MODEL, "--cors-origin", APP, "--allowed-host", "model.example.com")


@pytest.mark.parametrize(("method", "path"), CHANGES)
@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_pages_of_other_sites_change_nothing(server, open_to_app, method, path, headers):
    for one in (server, open_to_app):
        answer = one.ask(method, path, **headers)
        assert answer.status == 403 and "--cors-origin" in answer.json["detail"]
        assert answer.headers["content-type"] == "application/json"
        assert "access-control-allow-origin" not in answer.headers
    assert server.get("/predictions").json["results"] == []


def test_a_body_that_needs_no_preflight_changes_nothing(server):
    form = (
        b'--b\r\nContent-Disposition: form-data; name="content"; filename="f"\r\n\r\nx\r\n--b--\r\n'
    )
    for path, body, media in (
        ("/predictions", '{"input": {}}', "text/plain"),
        ("/predictions", '{"input": {}}', ""),
        ("/v1/files", form, "multipart/form-data; boundary=b"),
    ):
        headers = {"Content-Type": media} if media else {}
        assert server.ask("POST", path, body, Origin=EVIL, **headers).status == 403
    stream = server.ask("POST", "/predictions", "{}", Origin=EVIL, Accept="text/event-stream")
    assert stream.status == 403 and stream.headers["content-type"] == "application/json"
    assert (
        server.get("/v1/files").json["results"] == []
        and server.get("/predictions").json["results"] == []
    )


def test_a_page_of_an_allowed_origin_changes_things(open_to_app):
    for headers in ({"Sec-Fetch-Site": "cross-site", "Origin": APP}, {"Origin": APP}):
        answer = open_to_app.ask("POST", "/predictions", {}, **headers)
        assert (
            answer.json["output"] == ["hello"]
            and answer.headers["access-control-allow-origin"] == APP
        )
        assert open_to_app.ask("POST", "/v1/predictions", {}, Prefer="wait", **headers).json[
            "output"
        ] == ["hello"]


def test_a_star_allows_the_pages_of_every_site(start):
    server = start(MODEL, "--cors-origin", "*")
    for headers in FOREIGN:
        assert server.ask("POST", "/predictions", {}, **headers).json["output"] == ["hello"]
    assert server.get("/predictions", Host="evil.example", **BROWSERS[2]).status == 200


def test_the_page_of_the_server_changes_things(server):
    own = f"http://127.0.0.1:{server.port}"
    for headers in (
        {"Sec-Fetch-Site": "same-origin", "Origin": own},
        {"Sec-Fetch-Site": "none"},
        {"Origin": own},
    ):
        assert server.ask("POST", "/predictions", {}, **headers).json["output"] == ["hello"]


@pytest.mark.parametrize("headers", PROGRAMS, ids=str)
@pytest.mark.parametrize(
    "host", ["127.0.0.1", "model.example.com", "coggo.svc.cluster.local:80", ""]
)
def test_programs_can_use_any_host_name(server, headers, host):
    assert server.ask("POST", "/predictions", {}, Host=host, **headers).json["output"] == ["hello"]
    assert server.get("/predictions", Host=host, **headers).status == 200


@pytest.mark.parametrize("headers", BROWSERS, ids=str)
@pytest.mark.parametrize("path", PATHS)
def test_a_browser_on_this_machine_reads_nothing_by_a_foreign_name(
    server, open_to_app, path, headers
):
    for one, host in (
        (server, "evil.example"),
        (server, f"evil.example:{server.port}"),
        (server, "localhost.evil.example"),
        (server, "127.0.0.1.evil.example"),
        (server, "evillocalhost"),
        (server, "model.example.com"),
        (open_to_app, "evil.example"),
        (open_to_app, "x.model.example.com"),
    ):
        answer = one.get(path, Host=host, **headers)
        assert answer.status == 403 and "--allowed-host" in answer.json["detail"], host
        assert one.ask("HEAD", path, Host=host, **headers).status == 403


@pytest.mark.parametrize("headers", BROWSERS[1:-1], ids=str)
@pytest.mark.parametrize(("method", "path"), CHANGES)
def test_a_browser_on_this_machine_changes_nothing_by_a_foreign_name(server, method, path, headers):
    assert server.ask(method, path, Host="evil.example", **headers).status == 403


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:5000",
        "LOCALHOST",
        "localhost.",
        "app.localhost:5000",
        "127.0.0.1",
        "127.1.2.3:5000",
        "[::1]:5000",
        "[::1]",
        "192.0.2.7:5000",
    ],
)
def test_a_browser_on_this_machine_reads_by_names_of_this_machine_and_by_addresses(server, host):
    for headers in BROWSERS[:-1]:
        assert server.get("/predictions", Host=host, **headers).status == 200


@pytest.mark.parametrize(
    "host", ["model.example.com", "MODEL.example.com", "model.example.com:8443"]
)
def test_a_browser_on_this_machine_reads_by_an_allowed_name(open_to_app, host):
    for headers in BROWSERS[:-1]:
        assert open_to_app.get("/predictions", Host=host, **headers).status == 200
        assert open_to_app.ask("POST", "/predictions", {}, Host=host, **headers).json["output"] == [
            "hello"
        ]


def test_every_name_can_be_allowed(start):
    server = start(MODEL, "--allowed-host", "*")
    assert server.get("/predictions", Host="any.example", **BROWSERS[2]).status == 200
    assert server.ask("POST", "/predictions", {}, Origin=EVIL).status == 403, (
        "an allowed host is not an allowed origin"
    )


def test_with_a_token_every_host_name_is_allowed(start):
    server = start(MODEL, env={"COGGO_AUTH_TOKEN": "4711"})
    assert server.get("/predictions", Host="any.example", **BROWSERS[2]).status == 401
    shown = {"Authorization": "Bearer 4711"}
    assert server.get("/predictions", Host="any.example", **BROWSERS[2], **shown).status == 200
    assert server.ask("POST", "/predictions", {}, Origin=EVIL, **shown).status == 403


@pytest.mark.parametrize("host", ["http://a.example", "a.example:80", "a.example/", "a b"])
def test_allowed_host_must_be_a_name(tmp_path, host):
    (tmp_path / "predict.py").write_text(MODEL)
    assert "--allowed-host" in start_error(f"--allowed-host={host}", tmp_path, code=2)
