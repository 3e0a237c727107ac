"""Many predictions at once in one runner."""

from __future__ import annotations

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from http_harness import Answer, Server
from model_sources import model_source
from waiting import until

MAX = 256

MODEL = model_source("http/many")


@pytest.fixture(scope="module")
def server(start_once) -> Server:
    made = start_once(MODEL)
    assert made.health()["concurrency"] == {"max": MAX, "current": 0}
    return made


def all_at_once(server: Server, bodies: list[dict[str, Any]]) -> list[Answer]:
    with ThreadPoolExecutor(len(bodies)) as pool:
        return list(
            pool.map(lambda body: server.ask("POST", "/predictions", body, timeout=60), bodies)
        )


def body(n: int, **input: object) -> dict[str, Any]:
    return {"id": f"id{n}", "input": {"id": f"id{n}", **input}, "context": {"who": f"who{n}"}}


def test_each_of_256_gets_its_own_logs_metrics_context_and_output(server: Server) -> None:
    answers = all_at_once(server, [body(n, lines=100, wait=MAX) for n in range(MAX)])
    for n, answer in enumerate(answers):
        assert answer.status == 200, answer.body
        found = answer.json
        assert found["status"] == "succeeded", found["error"]
        assert found["output"] == [f"id{n}", f"who{n}", f"who{n}"]
        assert found["logs"] == f"id{n}\n" * 100
        assert found["metrics"]["printed"] == 100
        assert found["metrics"]["mine"] == f"id{n}"
    assert server.health()["concurrency"] == {"max": MAX, "current": 0}
    assert server.predict({"id": "x", "end": "most"}).json["output"] == [MAX]


def test_with_every_slot_taken_one_more_is_refused_and_each_cancel_hits_its_own(
    server: Server,
) -> None:
    for n in range(MAX):
        assert (
            server.ask("POST", "/predictions", body(n, end="gate"), Prefer="respond-async").status
            == 202
        )
    health = server.health()
    assert (health["status"], health["concurrency"]) == ("BUSY", {"max": MAX, "current": MAX})
    assert server.predict({"id": "late"}).status == 409
    for n in range(0, MAX, 2):
        assert server.ask("POST", f"/predictions/id{n}/cancel").status == 200
    until(
        "half of the slots are free", lambda: server.health()["concurrency"]["current"] == MAX // 2
    )
    assert server.health()["status"] == "READY"
    assert server.predict({"id": "x", "end": "open"}).status == 200
    for n in range(MAX):
        found = server.ended(f"id{n}")
        assert found["status"] == ("succeeded" if n % 2 else "canceled")
        assert found["metrics"]["mine"] == f"id{n}"
    until("every slot is free", lambda: server.health()["concurrency"]["current"] == 0)


def test_failures_among_many_do_not_affect_others(server: Server) -> None:
    answers = all_at_once(
        server, [body(n, lines=3, end="fail" if n % 3 == 0 else "") for n in range(96)]
    )
    for n, answer in enumerate(answers):
        found = answer.json
        if n % 3 == 0:
            assert (found["status"], found["error"]) == ("failed", f"bad id{n}")
            assert f"ValueError: bad id{n}" in found["logs"]
        else:
            assert (found["status"], found["output"]) == (
                "succeeded",
                [f"id{n}", f"who{n}", f"who{n}"],
            )
            assert found["logs"] == f"id{n}\n" * 3


@pytest.mark.parametrize("flags", [[], ["--max-concurrency", "2"]], ids=["one slot", "two slots"])
def test_a_slot_is_free_before_its_answer_can_be_read(start, flags: list[str]) -> None:
    server = start(
        "class Predictor:\n    async def predict(self, s: str) -> str:\n        return s\n", *flags
    )
    request = json.dumps({"input": {"s": "x"}}).encode()
    head = f"POST /predictions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(request)}\r\n\r\n"
    slots = server.health()["concurrency"]["max"]
    with ThreadPoolExecutor(slots) as pool:
        seen = pool.map(
            lambda _: back_to_back(server.port, head.encode() + request, 300), range(slots)
        )
    assert [set(statuses) for statuses in seen] == [{200}] * slots


def back_to_back(port: int, request: bytes, times: int) -> list[int]:
    """Send each request as soon as the answer to the previous one arrives."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        statuses = []
        for _ in range(times):
            connection.sendall(request)
            answer = b""
            while not answer.rstrip().endswith(b"}"):
                answer += connection.recv(65536)
            statuses.append(int(answer.split()[1]))
        return statuses
