"""Pages of other sites cannot use a server on the machine of the browser that shows them."""

from __future__ import annotations

import http.server
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from http_peer import Peer

MODEL = "class Predictor:\n    def predict(self) -> str:\n        return 'hello'\n"


@pytest.fixture(scope="module")
def server(start_once):
    return start_once(MODEL)


@pytest.fixture(scope="module")
def site() -> Iterator[int]:
    """The port of a site with an empty page; browsers know this machine as ``*.test`` too."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # noqa: N802 - the base class's name
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    made = Peer(Handler)
    yield made.server_port
    made.close()


ASK = """async ([url, method, body, mode]) => {
    try {
        return (await fetch(url, {method, body, mode, referrerPolicy: "no-referrer"})).status;
    } catch (error) {
        return -1;
    }
}"""

CHANGES = [
    ("/predictions", '{"input": {}}'),
    ("/v1/predictions", "{}"),
    ("/predictions/x/cancel", None),
]


@pytest.mark.parametrize("host", ["evil.test", "127.0.0.1", "localhost"])
def test_a_page_of_another_site_changes_nothing(page: Page, server, site, host):
    page.goto(f"http://{host}:{site}/")
    for path, body in CHANGES:
        page.evaluate(ASK, [f"http://127.0.0.1:{server.port}{path}", "POST", body, "no-cors"])
        page.evaluate(ASK, [f"http://127.0.0.1:{server.port}{path}", "POST", body, "cors"])
    page.evaluate(
        """(action) => new Promise((done) => {
            document.body.innerHTML = `<iframe name="f"></iframe><form method="post" target="f" action="${action}"></form>`;
            document.querySelector("iframe").onload = done;
            document.forms[0].submit();
        })""",
        f"http://127.0.0.1:{server.port}/shutdown",
    )
    assert server.get("/readyz").status == 200, "it was shut down"
    assert server.get("/predictions").json["results"] == []


def test_a_site_whose_name_is_rebound_to_this_machine_reads_and_changes_nothing(page: Page, server):
    here = f"http://evil.test:{server.port}"
    answer = page.goto(f"{here}/predictions")
    assert answer is not None and answer.status == 403
    for path in ("/predictions", "/v1/predictions", "/predictions/x/stream", "/health-check"):
        assert page.evaluate(ASK, [path, "GET", None, "same-origin"]) == 403
    for path, body in CHANGES:
        assert page.evaluate(ASK, [path, "POST", body, "same-origin"]) == 403
    assert server.get("/predictions").json["results"] == []


@pytest.mark.parametrize("host", ["localhost", "app.localhost", "127.0.0.1"])
def test_the_page_of_the_server_reads_and_changes_things(page: Page, start, host):
    server = start(MODEL)
    page.goto(f"http://{host}:{server.port}/docs")
    assert page.evaluate(ASK, ["/predictions", "POST", '{"input": {}}', "same-origin"]) == 415, (
        "text, see Content-Type"
    )
    page.click("#run")
    page.wait_for_selector("text=succeeded")
    assert len(server.get("/predictions").json["results"]) == 1
