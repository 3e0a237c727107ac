"""What clients are told when the broker lacks a part of a queue, or does not permit it."""

from __future__ import annotations

from model_sources import model_source
from nats_client import Nats
from queue_harness import ASYNC
from waiting import until

MODEL = model_source("queue/everything")


def says(server, path, *words):
    """Wait until a path answers 503 with all of these words."""

    def look():
        answer = server.get(path)
        return answer.status == 503 and all(word in answer.json["detail"] for word in words)

    until(f"{path} says {words}", look, 20)


def test_an_error_names_the_stream_or_the_consumer_that_is_missing(start_fleet):
    fleet = start_fleet(MODEL, workers=1, gateways=1)
    gateway, worker = fleet.gateways[0], fleet.workers[0]
    consumer = fleet.name.replace("/", "%2F")
    nats = Nats(fleet.broker.url)
    nats.api(f"CONSUMER.DELETE.COGGO_Q.{consumer}")
    for server in (gateway, worker):
        says(server, "/queue", f"the consumer {consumer} of the stream COGGO_Q")
        assert server.predict({}, ASYNC).status == 202
    nats.api("STREAM.DELETE.COGGO_U")
    for server in (gateway, worker):
        says(server, "/v1/files", "the stream COGGO_U")
    nats.api("STREAM.DELETE.COGGO_P")
    for server in (gateway, worker):
        says(server, "/predictions", "the stream COGGO_P")
        says(server, "/predictions/one", "the stream COGGO_P")
        says(server, "/readyz", "the stream COGGO_P")
        until("the log says it", lambda s=server: "does not have the stream COGGO_P" in s.log())
        assert "more than half of its nodes" not in server.log()
    nats.close()


#: A user may do everything at first, and another one lacks a right.
USERS = """
accounts { A {
  jetstream: enabled
  users: [
    { user: whole, password: whole }
    { user: part, password: part
      permissions: { publish: { deny: ["$JS.API.DIRECT.GET.COGGO_P.>"] } } }
  ]
} }
"""


def test_an_error_says_that_a_right_is_missing(start_fleet, tmp_path):
    (tmp_path / "users.conf").write_text(USERS)
    fleet = start_fleet(flags=["-c", str(tmp_path / "users.conf")])
    address = {
        user: ["--queue", fleet.broker.url.replace("//", f"//{user}:{user}@")]
        for user in ("whole", "part")
    }
    fleet.worker(MODEL, name="test/m", address=address["whole"])
    gateway = fleet.gateway(address=address["part"], ready=False)
    says(gateway, "/predictions/one", "does not permit")
    assert "$JS.API.DIRECT.GET.COGGO_P" in gateway.log()
    says(gateway, "/readyz", "does not permit")
    assert "more than half of its nodes" not in gateway.log()
