"""The files of deploy/nats start a broker on which workers and gateways work with the rights that
they give, and with no others: docs/queue.md, Rights.
"""

from __future__ import annotations

import pathlib
import re

import pytest

from certificates import tls_directory
from faults_models import free_port
from model_sources import model_source
from nats_client import Nats
from queue_harness import ASYNC, Broker, runs
from waiting import until

FILES = pathlib.Path(__file__).resolve().parents[2] / "deploy/nats"
MODEL = model_source("queue/everything")
USERS = ("gateway", "hello", "other", "acme", "sys")
HELLO, OTHER = "acme%2Fhello", "acme%2Fother"


@pytest.fixture
def tls(tmp_path):
    """A directory with a certificate for this machine, as the files expect it."""
    return tls_directory(tmp_path / "tls")


@pytest.fixture
def configured(tmp_path, tls, monkeypatch):
    """Copies a file with what it includes, for this machine."""
    for user in USERS:
        monkeypatch.setenv(f"COGGO_{user.upper()}_PASSWORD", f"{user}-secret")

    def copy(name, store, **replaced):
        text = (FILES / name).read_text()
        for old, new in {
            "/etc/nats/tls": str(tls),
            "store_dir: /data": f"store_dir: {store}",
            "http: 127.0.0.1:8222": "http: 127.0.0.1:-1",
            **replaced,
        }.items():
            assert old in text, f"{name} has no {old}"
            text = text.replace(old, new)
        store.mkdir(exist_ok=True)
        (store / name).write_text(text)
        (store / "access.conf").write_text((FILES / "access.conf").read_text())
        return ["-c", str(store / name)]

    return copy


def by(fleet, tls, user):
    """The flags of a process that is this user."""
    urls = fleet.broker.url.replace("nats://", f"tls://{user}:{user}-secret@")
    return ["--queue", urls, "--queue-ca", str(tls / "ca.crt")]


@pytest.fixture
def fleet(start_fleet, configured, tmp_path, tls):
    """A broker with one.conf, a gateway, and a worker of each of two models."""
    fleet = start_fleet(jetstream=False, flags=configured("one.conf", tmp_path / "store"))
    fleet.gateway(address=by(fleet, tls, "gateway"), ready=False)
    until("it has made what is needed", lambda: "connected to" in fleet.gateways[0].log())
    for user in ("hello", "other"):
        fleet.worker(MODEL, name=f"acme/{user}", address=by(fleet, tls, user))
        fleet.gateway("--name", f"acme/{user}", address=by(fleet, tls, "gateway"))
    return fleet


def test_everything_works_with_the_rights_of_one_conf(fleet, receiver, tmp_path):
    every, hello, other = fleet.gateways
    hook = {"webhook": receiver.url, "webhook_events_filter": ["completed"]}
    assert hello.predict({"name": "a"}, id="small", **hook).json["output"] == "hello a"
    assert other.predict({"name": "b"}, id="small", **hook).json["output"] == "hello b"
    until("both are told", lambda: len(receiver.got) == 2)
    large = hello.predict({"text": "x" * 2_000_000, "bytes_out": 0}, id="large-in")
    assert large.json["output"] == "2000000"
    assert len(hello.predict({"bytes_out": 2_000_000}, id="large-out").json["output"]) == 2_000_000
    assert len(every.get("/v1/files").json["results"]) == 0
    gate = tmp_path / "gate"
    hello.predict({"until": str(gate)}, ASYNC, id="c")
    runs(hello, "c")
    assert hello.ask("POST", "/predictions/c/cancel").status == 200
    assert hello.ended("c")["status"] == "canceled"
    assert {p["id"] for p in hello.get("/predictions").json["results"]} >= {"large-in", "c"}
    hello.predict({"until": str(gate)}, ASYNC, id="lost")
    runs(hello, "lost")
    log = fleet.workers[0].log()
    fleet.workers[0].kill()
    gate.touch()
    assert "Violation" not in log, log
    assert every.get("/queue?name=acme/hello").json["backlog"] == 1
    for process in (*fleet.gateways, fleet.workers[1]):
        assert "Violation" not in process.log(), process.log()


def test_a_worker_with_narrow_rights_finds_what_a_lost_one_had(fleet, tls, tmp_path):
    hello, gate = fleet.gateways[1], tmp_path / "gate"
    hello.predict({"until": str(gate)}, ASYNC, id="lost")
    runs(hello, "lost")
    fleet.workers[0].kill()
    second = fleet.worker(MODEL, name="acme/hello", address=by(fleet, tls, "hello"))
    gate.touch()
    assert hello.ended("lost", 30)["status"] == "succeeded"
    until("the queue is empty", lambda: hello.get("/queue").json["backlog"] == 0)
    assert "Violation" not in second.log(), second.log()


def test_a_worker_with_narrow_rights_sends_clients_to_a_gateway(fleet):
    worker = fleet.workers[0]
    answer = worker.predict({})
    assert answer.status == 503 and "send predictions to a gateway" in answer.json["detail"]
    for path in ("/predictions", "/v1/predictions", "/v1/files"):
        answer = worker.get(path)
        assert answer.status == 503 and "at a gateway" in answer.json["detail"], path
    assert worker.get("/queue").json["oldest_seconds"] is None
    assert worker.get("/queue?name=acme/other").status == 404
    assert "Violation" not in worker.log(), "it has asked the broker in vain"


def client(fleet, tls, user, inboxes="_INBOX"):
    return Nats(fleet.broker.url, user, f"{user}-secret", str(tls / "ca.crt"), inboxes)


#: What the worker of acme/hello must not do.
FORBIDDEN = [
    f"SUB coggo.c.{OTHER}.> 7",
    f"SUB coggo.s.{OTHER}.> 7",
    "SUB coggo.> 7",
    "SUB _INBOX.> 7",
    f"SUB _INBOX.{OTHER}.> 7",
    "SUB $JS.> 7",
    "SUB > 7",
    f"PUB coggo.q.{OTHER}.0.x",
    f"PUB coggo.q.{HELLO}.0.x",
    f"PUB coggo.p.{OTHER}.x",
    f"PUB coggo.s.{OTHER}.x",
    f"PUB coggo.h.{OTHER}.x",
    f"PUB coggo.f.{OTHER}.in-x.0",
    f"PUB $JS.API.DIRECT.GET.COGGO_F.coggo.f.{OTHER}.in-x.0",
    "PUB $JS.API.DIRECT.GET.COGGO_F.coggo.f.*.in-x.0",
    f"PUB coggo.w.{OTHER}.model",
    f"PUB coggo.c.{OTHER}.x",
    f"PUB $JS.API.CONSUMER.MSG.NEXT.COGGO_Q.{OTHER}",
    f"PUB $JS.API.CONSUMER.INFO.COGGO_Q.{OTHER}",
    f"PUB $JS.API.CONSUMER.DELETE.COGGO_Q.{OTHER}",
    f"PUB $JS.API.CONSUMER.CREATE.COGGO_Q.{OTHER}.coggo.q.{OTHER}.>",
    f"PUB $JS.API.CONSUMER.CREATE.COGGO_Q.mine.coggo.q.{OTHER}.>",
    "PUB $JS.API.CONSUMER.CREATE.COGGO_Q",
    f"PUB $JS.API.CONSUMER.DURABLE.CREATE.COGGO_Q.{HELLO}",
    "PUB $JS.API.CONSUMER.MSG.NEXT.COGGO_H.hooks",
    "PUB $JS.API.CONSUMER.CREATE.COGGO_P.mine",
    f"PUB $JS.API.CONSUMER.CREATE.COGGO_W.mine.coggo.w.{OTHER}.>",
    "PUB $JS.API.CONSUMER.CREATE.COGGO_W.mine",
    f"PUB $JS.ACK.COGGO_Q.{OTHER}.1.1.1.1.1",
    f"PUB $JS.API.DIRECT.GET.COGGO_Q.coggo.q.{OTHER}.0.x",
    "PUB $JS.API.DIRECT.GET.COGGO_Q.coggo.q.*.*.x",
    "PUB $JS.API.DIRECT.GET.COGGO_Q",
    f"PUB $JS.API.DIRECT.GET.COGGO_P.coggo.p.{OTHER}.x",
    "PUB $JS.API.DIRECT.GET.COGGO_P.coggo.p.*.x",
    "PUB $JS.API.DIRECT.GET.COGGO_P",
    "PUB $JS.API.STREAM.MSG.GET.COGGO_Q",
    "PUB $JS.API.STREAM.MSG.GET.COGGO_P",
    "PUB $JS.API.STREAM.MSG.GET.COGGO_F",
    "PUB $JS.API.STREAM.MSG.DELETE.COGGO_Q",
    "PUB $JS.API.STREAM.PURGE.COGGO_Q",
    "PUB $JS.API.STREAM.PURGE.COGGO_F",
    "PUB $JS.API.STREAM.PURGE.COGGO_U",
    "PUB coggo.u.x.about",
    "PUB $JS.API.STREAM.DELETE.COGGO_Q",
    "PUB $JS.API.STREAM.UPDATE.COGGO_Q",
    "PUB $JS.API.STREAM.CREATE.MINE",
    "PUB $JS.API.STREAM.SNAPSHOT.COGGO_Q",
]

#: What no gateway must do.
FORBIDDEN_FOR_GATEWAYS = [
    f"PUB $JS.API.CONSUMER.MSG.NEXT.COGGO_Q.{HELLO}",
    f"PUB $JS.ACK.COGGO_Q.{HELLO}.1.1.1.1.1",
    "PUB $JS.API.STREAM.DELETE.COGGO_Q",
    "PUB $JS.API.STREAM.PURGE.COGGO_P",
    "PUB $JS.API.STREAM.SNAPSHOT.COGGO_P",
    "PUB $JS.API.STREAM.MSG.DELETE.COGGO_P",
    "PUB other.subject",
    "SUB > 7",
]


def test_a_worker_can_neither_read_nor_change_what_is_of_another_model(fleet, tls):
    mine = client(fleet, tls, "hello", f"_INBOX.{HELLO}")
    allowed = [f"PUB coggo.p.{HELLO}.y", f"SUB coggo.c.{HELLO}.> 8"]
    for line in [*FORBIDDEN, *allowed]:
        body = b"{}" if line.startswith("PUB") else None
        assert mine.refused(line, body) == (line in FORBIDDEN), line
    mine.close()


def test_a_gateway_can_neither_take_work_nor_remove_streams(fleet, tls):
    gateway = client(fleet, tls, "gateway")
    for line in FORBIDDEN_FOR_GATEWAYS:
        assert gateway.refused(line, b"{}" if line.startswith("PUB") else None), line
    gateway.close()


def test_a_consumer_with_a_foreign_filter_is_refused(fleet, tls):
    """The broker compares the filter in the subject with that in the body."""
    mine = client(fleet, tls, "hello", f"_INBOX.{HELLO}")
    for filter in (f"coggo.w.{OTHER}.>", "coggo.w.>", ">"):
        answer = mine.request(
            f"$JS.API.CONSUMER.CREATE.COGGO_W.mine.coggo.w.{HELLO}.>",
            b'{"stream_name":"COGGO_W","config":{"name":"mine","filter_subject":"%s",'
            b'"ack_policy":"none"}}' % filter.encode(),
        )
        assert b'"error"' in answer, answer
    mine.close()


def test_nobody_comes_in_without_a_password_or_without_tls(fleet, tls):
    plain = fleet.gateway(ready=False, address=["--queue", fleet.broker.url])
    nobody = fleet.gateway(ready=False, address=by(fleet, tls, "nobody"))
    for process in (plain, nobody):
        until("it says why", lambda p=process: "can't be reached" in p.log())
        assert process.get("/readyz").status == 503


class Three:
    """Three brokers with cluster.conf."""

    def __init__(self, directory, configured, monkeypatch):
        routes = [free_port() for _ in range(3)]
        monkeypatch.setenv(
            "NATS_ROUTES", "[" + ", ".join(f'"tls://127.0.0.1:{port}"' for port in routes) + "]"
        )
        self.nodes = []
        for n, port in enumerate(routes):
            monkeypatch.setenv("NATS_NAME", f"node{n}")
            own = {"port: 6222": f"listen: 127.0.0.1:{port}"}
            flags = configured("cluster.conf", directory / f"node{n}", **own)
            self.nodes.append(Broker(directory / f"node{n}", jetstream=False, flags=flags))
        self.url = ",".join(node.url for node in self.nodes)

    def close(self):
        for node in self.nodes:
            node.close()


@pytest.mark.timeout(180)
def test_three_brokers_with_cluster_conf_go_on_without_one(
    start_fleet, configured, tmp_path, tls, monkeypatch
):
    fleet = start_fleet(jetstream=False)
    fleet.broker.close()
    fleet.broker = Three(tmp_path, configured, monkeypatch)
    three = ["--queue-replicas", "3"]
    fleet.gateway("--name", "acme/hello", *three, address=by(fleet, tls, "acme"), ready=False)
    fleet.worker(MODEL, *three, name="acme/hello", address=by(fleet, tls, "acme"), ready=False)
    until("it is there", lambda: fleet.gateways[0].get("/readyz").status == 200, 60)
    gateway = fleet.gateways[0]
    assert gateway.predict({"name": "a"}, id="a", timeout=30).json["output"] == "hello a"
    stranger = fleet.gateway(*three, address=by(fleet, tls, "other"), ready=False)
    until("it is connected", lambda: "connected to the queue" in stranger.log(), 60)
    assert "no worker has ever served" in stranger.predict({}).json["detail"]
    assert stranger.get("/predictions/a").status == 404, "accounts see nothing of each other"
    fleet.broker.nodes[1].kill()
    until(
        "it goes on",
        lambda: gateway.predict({"name": "b"}, timeout=30).json.get("output") == "hello b",
        60,
    )


def test_every_file_says_where_it_is_explained():
    page = (FILES.parents[1] / "docs/queue.md").read_text()
    for path in FILES.glob("*.conf"):
        for heading in re.findall(r'docs/queue.md, "(\w+)"', path.read_text()):
            assert re.search(rf"^##+ {heading}$", page, re.MULTILINE), heading
