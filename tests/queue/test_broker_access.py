"""A broker that refuses, or lacks something: each error names what is missing."""

from __future__ import annotations

import socket
import threading

import pytest

from certificates import sign_itself
from faults_models import ASYNC
from waiting import until

MODEL = """
import pathlib, time
class Predictor:
    def predict(self, gate: str = "", s: str = "") -> int:
        while gate and not pathlib.Path(gate).exists():
            time.sleep(0.01)
        return len(s)
"""


def configured(start_fleet, tmp_path, text):
    """Start a broker with a configuration file; only clients that know a password come in."""
    (tmp_path / "nats.conf").write_text(text)
    return start_fleet(flags=["-c", str(tmp_path / "nats.conf")])


def address(fleet, user=""):
    return [
        "--queue",
        fleet.broker.url.replace("nats://", f"nats://{user}:x@" if user else "nats://"),
    ]


ACCOUNTS = """
accounts {
  A {
    jetstream: enabled
    users: [
      {user: all, password: x}
      {user: weak, password: x, permissions: {
        publish: ["$JS.API.INFO", "$JS.API.STREAM.INFO.COGGO_Q", "_INBOX.>"], subscribe: ["_INBOX.>"]
      }}
    ]
  }
  B { users: [{user: nojs, password: x}] }
}
"""


def test_wrong_credentials_are_named_and_tried_again(start_fleet, tmp_path):
    fleet = configured(start_fleet, tmp_path, ACCOUNTS)
    gateway = fleet.gateway(address=address(fleet, "nobody"), ready=False)
    until("it says why", lambda: "or --queue-creds" in gateway.log())
    assert "Authorization Violation" in gateway.log()
    assert gateway.get("/readyz").status == 503
    (tmp_path / "nats.conf").write_text(ACCOUNTS.replace("{user: all", "{user: nobody"))
    fleet.broker.stop()
    fleet.broker.start()
    until("it is connected", lambda: "connected to the queue" in gateway.log())


@pytest.mark.parametrize(
    ("user", "why"),
    [
        ("nojs", "the broker has no JetStream for this user"),
        (
            "weak",
            'the queue needs the stream COGGO_Q: .* Publish to "$JS.API.STREAM.CREATE.COGGO_Q"',
        ),
    ],
)
def test_a_user_without_rights_ends_the_server(start_fleet, tmp_path, user, why):
    fleet = configured(start_fleet, tmp_path, ACCOUNTS)
    gateway = fleet.gateway(address=address(fleet, user), listens=False, expect_exit=1)
    assert gateway.process.wait(30) == 1
    for part in why.split(" .* "):
        assert part in gateway.log()


def test_a_broker_that_is_too_old_ends_the_server(start_fleet):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        info = b'INFO {"server_id":"x","version":"2.9.10","headers":true,"max_payload":1048576}\r\n'

        def serve():
            client, _ = listener.accept()
            with client, client.makefile("rb") as lines:
                client.sendall(info)
                for line in lines:
                    if line.startswith(b"PING"):
                        client.sendall(b"PONG\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"nats://127.0.0.1:{listener.getsockname()[1]}"
        gateway = start_fleet().gateway(address=["--queue", url], listens=False, expect_exit=1)
        assert gateway.process.wait(20) == 1
        thread.join()
    assert "the broker is nats-server 2.9.10; the queue needs 2.12 or later" in gateway.log()


@pytest.fixture
def certificate(tmp_path):
    """The files of a certificate for 127.0.0.1 that has signed itself, and of its key."""
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    sign_itself(cert, key)
    return cert, key


def test_tls_needs_to_know_who_has_signed_the_certificate(start_fleet, tmp_path, certificate):
    cert, key = certificate
    text = f'tls {{ cert_file: "{cert}", key_file: "{key}" }}'
    fleet = configured(start_fleet, tmp_path, text)
    url = ["--queue", fleet.broker.url.replace("nats://", "tls://")]
    gateway = fleet.gateway(address=url, ready=False)
    until("it says why", lambda: "with --queue-ca" in gateway.log())
    assert gateway.get("/readyz").status == 503
    trusting = [*url, "--queue-ca", str(cert)]
    fleet.worker(MODEL, name="a/b", address=trusting)
    assert fleet.gateway(address=trusting).predict({"s": "abc"}).json["output"] == 3


FULL = "jetstream { max_file_store: 8MB }"


@pytest.mark.timeout(120)
def test_a_full_broker_refuses_new_predictions_until_there_is_room(start_fleet, tmp_path):
    fleet = configured(start_fleet, tmp_path, FULL)
    fleet.serve(MODEL, workers=1)
    gateway, other = fleet.gateways
    gate = tmp_path / "gate"
    ids = []

    def fill():
        id = f"p{len(ids)}"
        answer = gateway.predict({"gate": str(gate), "s": "x" * 400_000}, ASYNC, id=id)
        if answer.status == 202:
            ids.append(id)
        return answer if answer.status != 202 else None

    refused = until("it is full", fill, 30)
    assert refused.status == 503 and int(refused.headers["retry-after"]) >= 1
    assert refused.json["detail"] == "the queue's broker has no room left; try again later"
    assert len(ids) > 5
    gate.touch()
    fleet.broker.stop()
    (tmp_path / "nats.conf").write_text(FULL.replace("8MB", "80MB"))
    fleet.broker.start()
    until("it is back", lambda: other.get("/readyz").status == 200)
    for id in ids:
        assert other.ended(id, 40)["output"] == 400_000
    assert until("there is room", lambda: gateway.predict({"s": "ab"}).status == 200)
