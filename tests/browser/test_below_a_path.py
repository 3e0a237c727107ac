"""The page where a proxy serves several servers, each below its own path."""

from __future__ import annotations

import http.client
import http.server
import urllib.parse
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from http_peer import Peer

MODEL = """
from cog import BasePredictor, Input, Path
class Predictor(BasePredictor):
    def predict(self, name: str = Input(default="you"), file: Path = Input(default=None)) -> str:
        return f"hello {name} " + (file.read_text()[:3] if file else "")
"""
TOKEN = {"COGGO_AUTH_TOKEN": "4711"}


class Proxy(http.server.BaseHTTPRequestHandler):
    """Serves the server at ``port`` below ``prefix``, and nothing else."""

    port, prefix = 0, ""

    def do_GET(self) -> None:  # noqa: N802 - the base class's name
        asked = self.raw_requestline.split()[1].decode()  # self.path has fewer slashes
        path = asked.removeprefix(self.prefix)
        if path == asked:
            self.send_error(404)
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        headers = {
            name: value for name, value in self.headers.items() if name.lower() != "connection"
        }
        connection.request(self.command, path, body, {**headers, "X-Forwarded-Prefix": self.prefix})
        answer = connection.getresponse()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "transfer-encoding"):
                self.send_header(name, value)
        self.send_header("Connection", "close")
        try:
            self.end_headers()
            while piece := answer.read1(65536):
                self.wfile.write(piece)
        except OSError:  # the page has left meanwhile
            self.close_connection = True
        finally:
            answer.close()
            connection.close()

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(params=["taken away", "kept"])
def place(request, start) -> Iterator[str]:
    """A served model: behind a proxy that removes the path, or with a path that is passed on."""
    if request.param == "kept":
        server = start(MODEL, "--path-prefix", "/models/a", env=TOKEN)
        yield f"http://127.0.0.1:{server.port}/models/a"
        return
    server = start(MODEL, env=TOKEN)
    proxy = Peer(type("Here", (Proxy,), {"port": server.port, "prefix": "/models/a"}))
    yield f"{proxy.url}/models/a"
    proxy.close()


def test_the_page_works(page: Page, place: str, tmp_path):
    large = tmp_path / "large.txt"
    large.write_text("abc" * 500_000)
    page.goto(f"{place}/docs")
    page.fill("#token", "4711")
    page.click("#login button")
    expect(page.locator("#main")).to_be_visible()
    page.fill("#input-name", "me")
    page.set_input_files("#input-file", large)  # by upload
    page.click("#run")
    expect(page.locator("#status")).to_have_text("succeeded")
    expect(page.locator("#output")).to_have_text("hello me abc")
    page.locator("#recent button").first.click()
    expect(page.locator("#status")).to_have_text("succeeded")
    page.click("#code summary")
    expect(page.locator("#snippet")).not_to_be_empty()  # it is drawn after the click
    expect(page.locator("#snippet")).to_contain_text(f"curl '{place}/predictions'")
    for name in ("Python", "JavaScript"):
        page.get_by_role("tab", name=name).click()
        expect(page.locator("#snippet")).to_contain_text(f'"{place}/predictions"')
    links = page.locator("nav a").evaluate_all("links => links.map((link) => link.href)")
    assert links == [f"{place}/{name}" for name in ("openapi.json", "health-check", "metrics")]


def test_the_page_keeps_a_token_for_each_server(page: Page, place: str):
    page.goto(f"{place}/docs")
    page.fill("#token", "4711")
    page.click("#login button")
    expect(page.locator("#main")).to_be_visible()
    stored = page.evaluate("Object.keys(sessionStorage)")
    assert stored == [f"coggo-token {place}"]


@pytest.mark.parametrize(
    "path", ["/$(touch pwned)", "/a'b", "/<b>x", '/"onload="x', "//evil.example", "/a;b&c"]
)
def test_an_odd_path_changes_neither_page_nor_code(page: Page, start, path: str):
    """A crafted link can neither add words to the code that users copy nor redirect the page."""
    server = start(MODEL)
    prefix = urllib.parse.quote(path, safe="/$()';&=")  # as browsers do
    proxy = Peer(type("Here", (Proxy,), {"port": server.port, "prefix": prefix}))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{proxy.url}{path}/docs")
    expect(page.locator("#main")).to_be_visible()
    page.click("#run")
    expect(page.locator("#status")).to_have_text("succeeded")
    page.click("#code summary")
    expect(page.locator("#snippet")).not_to_be_empty()  # it is drawn after the click
    code = page.locator("#snippet").inner_text()
    quoted = code.split("curl ", 1)[1].split("/predictions", 1)[0]
    assert quoted.startswith(f"'{proxy.url}/"), code
    assert quoted[1:].replace("'\\''", "").count("'") == 0, code
    assert all(url.startswith((proxy.url + "/", "data:", "blob:")) for url in asked), asked
    proxy.close()
