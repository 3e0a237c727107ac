"""--deny-private-networks: docs/http-api.md#urls."""

from __future__ import annotations

import pytest

from namespaces import run_inside
from waiting import until

MODEL = """
import pathlib, tempfile
from typing import Optional
from cog import BasePredictor, Path
class Predictor(BasePredictor):
    def predict(self, file: Optional[Path] = None, write: bool = False) -> Path:
        out = pathlib.Path(tempfile.mkdtemp()) / "out.txt"
        out.write_text(file.read_text() if file else "nothing")
        return Path(out)
"""


@pytest.fixture(scope="module")
def server(start_once):
    return start_once(MODEL, "--deny-private-networks")


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "LOCALHOST",
        "１２７。０。０。１",
        "me@127.0.0.1",
        "127.1.2.3",
        "[::1]",
        "0.0.0.0",
        "[::ffff:127.0.0.1]",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "[fe80::1]",
        "[fd00::1]",
        "[::127.0.0.1]",
        "[::ffff:0:127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[2002:7f00:1::]",
        "[3fff::1]",
        "[5f00::1]",
        "192.88.99.1",
        "168.63.129.16",
    ],
)
def test_inputs_from_private_networks_are_refused(server, store, host):
    port = store.add("/x.txt", b"secret").rsplit(":", 1)[1].split("/")[0]
    body = server.predict({"file": f"http://{host}:{port}/x.txt"}).json
    assert body["status"] == "failed"
    assert "is not public" in body["error"] and "--deny-private-networks" in body["error"]
    assert store.got == []


def test_webhooks_to_private_networks_are_refused(server, receiver):
    assert server.predict({}, webhook=receiver.url).json["status"] == "succeeded"
    until(
        "it was tried",
        lambda: (
            "is not public" in server.log() or "webhook" in server.get("/metrics").body.decode()
        ),
    )
    assert receiver.got == []


def test_uploads_to_private_networks_are_refused(server, store):
    body = server.predict({}, output_file_prefix=store.url + "/put").json
    assert body["status"] == "failed" and "is not public" in body["error"]
    assert store.got == []


def test_without_the_flag_private_networks_are_reached(start_once, store, receiver):
    server = start_once(MODEL)
    body = server.predict({"file": store.add("/x.txt", b"open")}, webhook=receiver.url).json
    assert body["status"] == "succeeded", body
    receiver.wait_terminal()


def test_public_hosts_cannot_redirect_to_private_networks():
    run_inside("private_networks.py")
