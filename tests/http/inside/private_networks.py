"""Run by test_private_networks.py in namespaces, where the machine has a public address."""

from __future__ import annotations

import pytest
from test_private_networks import MODEL

from http_harness import Receiver, Reply
from http_store import Store
from namespaces import loopback
from waiting import until

PUBLIC = "8.8.4.4"


@pytest.fixture(autouse=True, scope="module")
def machine():
    loopback(PUBLIC)


@pytest.fixture(scope="module")
def server(machine, start_once):
    return start_once(MODEL, "--deny-private-networks")


@pytest.fixture
def public():
    made = Store(PUBLIC)
    yield made
    made.close()


@pytest.fixture
def listener():
    made = Receiver(PUBLIC)
    yield made
    made.close()


def test_a_public_address_is_reached(server, public, listener):
    body = server.predict({"file": public.add("/x.txt", b"open")}, webhook=listener.url).json
    assert body["status"] == "succeeded", body
    assert listener.wait_terminal()["status"] == "succeeded"
    uploaded = server.predict({}, output_file_prefix=public.url + "/put/").json
    assert uploaded["output"].startswith(public.url), uploaded


def test_a_download_is_not_redirected_to_a_private_one(server, public, store):
    url = public.redirect("/x.txt", store.add("/secret.txt", b"secret"))
    body = server.predict({"file": url}).json
    assert body["status"] == "failed" and "is not public" in body["error"]
    assert store.got == []


def test_a_download_is_not_redirected_to_a_private_address_in_another_spelling(
    server, public, store
):
    to = (
        store.add("/my%20secret.txt", b"secret")
        .replace("127.0.0.1", "１２７。0。0。1")
        .replace("%20", " ")
    )
    body = server.predict({"file": public.redirect("/x.txt", to.encode().decode("latin-1"))}).json
    assert body["status"] == "failed" and "is not public" in body["error"]
    assert store.got == []


def test_an_upload_is_not_redirected_to_a_private_one(server, public, store):
    public.put = lambda got: Reply(307, {"Location": store.url + "/stolen", "Content-Length": "0"})
    body = server.predict({}, output_file_prefix=public.url + "/put/").json
    assert body["status"] == "failed" and "is not public" in body["error"]
    assert store.got == []


def test_a_webhook_is_not_redirected_to_a_private_one(server, listener, receiver):
    listener.answer = lambda n: Reply(307, {"Location": receiver.url, "Content-Length": "0"})
    server.predict({}, webhook=listener.url, webhook_events_filter=["completed"])
    until("it was sent", lambda: listener.got)
    server.predict({})
    assert receiver.got == []
