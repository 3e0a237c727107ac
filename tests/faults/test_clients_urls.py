"""Bad URLs of clients for inputs, uploads and webhooks: the prediction fails, and nothing hangs."""

from __future__ import annotations

import itertools
import signal
import socket
import threading

import pytest

from http_harness import Reply
from waiting import until

MODEL = """
from cog import BasePredictor, Path
class Predictor(BasePredictor):
    def predict(self, file: Path = None) -> str:
        return file.read_text() if file else "none"
"""


@pytest.fixture(scope="module")
def server(start_once):
    return start_once(MODEL, "--max-input-file", "1MB")


@pytest.fixture
def silent():
    """The URL of a server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/x"


def works(server):
    assert server.predict({}).json["output"] == "none"


SECRET = "/etc/passwd"


@pytest.mark.parametrize(
    "to",
    [
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "data:text/plain,x",
        "//",
        "http://",
        "ftp://127.0.0.1/x",
        "javascript:1",
    ],
)
def test_a_redirect_to_another_scheme_is_not_followed(server, store, to):
    answer = server.predict({"file": store.redirect("/away", to)})
    assert answer.json["status"] == "failed" and "root:" not in answer.body.decode()
    works(server)


@pytest.mark.parametrize(
    "url",
    [
        f"file://{SECRET}",
        SECRET,
        "file:/etc/passwd",
        "FILE:///etc/passwd",
        "http:///etc/passwd",
        "http://",
        "",
        "\x00",
        "http://a\nb/",
    ],
)
def test_a_url_of_another_scheme_is_refused(server, url):
    answer = server.predict({"file": url})
    assert answer.status == 422 and answer.json["detail"][0]["loc"] == ["body", "input", "file"]
    works(server)


def test_an_endless_download_ends_at_the_limit(server, store):
    store.routes["/endless"] = lambda n: Reply(200, {}, itertools.repeat(b"x" * 65536))
    answer = server.predict({"file": store.url + "/endless"})
    assert answer.json["status"] == "failed" and "1000000 bytes" in answer.json["error"]
    works(server)


def test_a_download_with_a_wrong_length_fails(server, store):
    store.routes["/short"] = lambda n: Reply(
        200, {"Content-Length": "100", "Connection": "close"}, [b"only this"]
    )
    assert server.predict({"file": store.url + "/short"}).json["status"] == "failed"
    store.routes["/huge"] = lambda n: Reply(
        200, {"Content-Length": "9" * 18, "Connection": "close"}, [b"x"]
    )
    assert server.predict({"file": store.url + "/huge"}).json["status"] == "failed"
    works(server)


@pytest.mark.parametrize("how", ["says nothing", "trickles"])
def test_a_download_that_hangs_can_be_canceled(server, store, silent, how):
    gate = threading.Event()
    store.routes["/slow"] = lambda n: Reply(
        200, {}, iter(lambda: b"x" if not gate.wait(0.02) else None, None)
    )
    url = silent if how == "says nothing" else store.url + "/slow"
    id = server.predict({"file": url}, {"Prefer": "respond-async"}).json["id"]
    assert server.get(f"/predictions/{id}").json["status"] == "starting"
    assert server.ask("POST", f"/predictions/{id}/cancel").status == 200
    assert server.ended(id)["status"] == "canceled"
    gate.set()
    works(server)
    until("nothing is left of it", lambda: not server.inputs())


def test_a_webhook_that_redirects_to_a_file_or_never_ends_delays_nothing(server, receiver, silent):
    receiver.answer = lambda n: Reply(
        307, {"Location": "file:///etc/passwd", "Content-Length": "0"}
    )
    assert server.predict({}, webhook=receiver.url).json["status"] == "succeeded"
    receiver.answer = lambda n: Reply(200, {}, (b"y" * 65536 for _ in range(1000)))
    assert server.predict({}, webhook=receiver.url).json["status"] == "succeeded"
    assert server.predict({}, webhook=silent).json["status"] == "succeeded"
    works(server)


def test_a_hanging_webhook_does_not_keep_the_server_from_ending(start, silent):
    server = start(MODEL)
    assert server.predict({}, webhook=silent).json["status"] == "succeeded"
    server.ask("POST", "/shutdown")
    server.process.send_signal(signal.SIGINT)  # the second signal ends the grace period
    assert server.process.wait(30) == 0
