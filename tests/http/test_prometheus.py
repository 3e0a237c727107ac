"""Metrics, read with Prometheus' own parser; the dashboard and the alerts use only existing ones:
docs/operating.md#metrics.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import signal

import pytest
from prometheus_client.parser import text_string_to_metric_families

from waiting import until

ROOT = pathlib.Path(__file__).resolve().parents[2]

MODEL = """
import asyncio
from cog import BasePredictor, concurrent
class Predictor(BasePredictor):
    @concurrent(max=2)
    async def predict(self, n: int = 0, wait: float = 0, fail: bool = False) -> str:
        await asyncio.sleep(wait)
        if fail:
            raise ValueError("boom")
        return "x" * n
"""


def families(server):
    answer = server.get("/metrics")
    assert answer.status == 200 and answer.headers["content-type"].startswith("text/plain")
    return {family.name: family for family in text_string_to_metric_families(answer.body.decode())}


def value(server, name, **labels):
    """The value of one series."""
    for family in families(server).values():
        for sample in family.samples:
            if sample.name == name and sample.labels == labels:
                return sample.value
    return None


@pytest.fixture
def server(start):
    return start(MODEL, "--max-queue", "1")


KINDS = {
    "coggo_predictions": "counter",
    "coggo_predictions_in_flight": "gauge",
    "coggo_predictions_queued": "gauge",
    "coggo_predictions_fetching": "gauge",
    "coggo_predictions_rejected": "counter",
    "coggo_slots": "gauge",
    "coggo_predict_seconds": "histogram",
    "coggo_queue_seconds": "histogram",
    "coggo_setup_seconds": "histogram",
    "coggo_webhook_deliveries": "counter",
    "coggo_webhook_retries": "counter",
    "coggo_runner_restarts": "counter",
    "coggo_http_bytes": "counter",
    "coggo_build_info": "gauge",
}


def test_every_metric_exists_from_the_start_with_its_type_and_help(server):
    found = families(server)
    assert {name: f.type for name, f in found.items() if name.startswith("coggo_")} == KINDS
    assert all(
        f.documentation.endswith((".", "is."))
        for name, f in found.items()
        if name.startswith("coggo_")
    )
    assert {"process_resident_memory_bytes", "go_goroutines"} <= set(found)
    for status in ("succeeded", "failed", "canceled"):
        assert value(server, "coggo_predictions_total", status=status) == 0
    for reason in ("busy", "queue_full", "not_ready", "draining", "invalid"):
        assert value(server, "coggo_predictions_rejected_total", reason=reason) == 0
    assert value(server, "coggo_setup_seconds_count") == 1
    [info] = found["coggo_build_info"].samples
    assert info.value == 1 and info.labels["version"] == server.health()["version"]["coggo"]


def test_predictions_are_counted_by_how_they_ended(server):
    for body in ({}, {}, {"fail": True}):
        server.predict(body)
    server.predict({"wait": 60}, {"Prefer": "respond-async"}, id="long")
    until("it runs", lambda: value(server, "coggo_predictions_in_flight") == 1)
    server.ask("POST", "/predictions/long/cancel")
    server.ended("long")
    for status, count in {"succeeded": 2, "failed": 1, "canceled": 1}.items():
        until(
            f"{status} is counted",
            lambda s=status, c=count: value(server, "coggo_predictions_total", status=s) == c,
        )
    until("none is left", lambda: value(server, "coggo_predictions_in_flight") == 0)
    assert (
        value(server, "coggo_predict_seconds_count")
        == value(server, "coggo_queue_seconds_count")
        == 4
    )
    assert value(server, "coggo_predict_seconds_bucket", le="+Inf") == 4
    assert 0 < value(server, "coggo_predict_seconds_sum") < 60


def test_queued_and_refused_predictions_are_counted(server):
    for n in range(3):
        server.predict({"wait": 60}, {"Prefer": "respond-async"}, id=str(n))
    assert value(server, "coggo_slots") == 2
    assert (
        value(server, "coggo_predictions_in_flight"),
        value(server, "coggo_predictions_queued"),
    ) == (3, 1)
    assert server.predict({}).status == 429
    assert server.predict({"n": "x"}).status == 422
    assert server.ask("POST", "/predictions", "{").status == 400
    assert server.ask("POST", "/v1/predictions", "{").status == 400
    assert server.ask("POST", "/predictions", "x", Content_Type="text/plain").status == 415
    assert server.predict({}, id="0").status == 409
    want = {
        "queue_full": 1,
        "invalid": 1,
        "malformed": 2,
        "unsupported_media_type": 1,
        "conflict": 1,
    }
    found = {
        s.labels["reason"]: s.value
        for s in families(server)["coggo_predictions_rejected"].samples
        if s.value
    }
    assert found == want
    for n in (2, 1, 0):  # cancel the one that waits first, or it would run
        server.ask("POST", f"/predictions/{n}/cancel")
        server.ended(str(n))
    until(
        "those that ran are counted",
        lambda: value(server, "coggo_predictions_total", status="canceled") == 3,
    )
    assert value(server, "coggo_predict_seconds_count") == 2, "one that never ran has no duration"


def test_bytes_in_and_out_are_counted(server):
    def counted(direction):
        return value(server, "coggo_http_bytes_total", direction=direction)

    before = {d: counted(d) for d in ("in", "out")}
    server.predict({"n": 100_000})
    until(
        "the answer is counted", lambda: counted("out") - before["out"] > 100_000
    )  # counted once it is sent
    body = json.dumps({"input": {"n": 0}, "unknown": "x" * 50_000})
    server.ask("POST", "/predictions", body, Content_Type="application/json")
    assert counted("in") - before["in"] > 50_000


def test_webhooks_and_their_retries_are_counted(server, receiver):
    receiver.answer = lambda n: 503 if n <= 2 else 200
    server.predict({}, webhook=receiver.url, webhook_events_filter=["completed"])
    until(
        "it is delivered",
        lambda: (
            value(server, "coggo_webhook_deliveries_total", event="completed", result="delivered")
            == 1
        ),
    )
    assert value(server, "coggo_webhook_deliveries_total", event="completed", result="failed") == 2
    assert value(server, "coggo_webhook_retries_total") == 2


def test_restarts_of_the_runner_are_counted(server):
    assert value(server, "coggo_runner_restarts_total") == 0
    os.kill(server.runner(), signal.SIGKILL)
    until("it is counted", lambda: value(server, "coggo_runner_restarts_total") == 1)
    until("it was set up again", lambda: value(server, "coggo_setup_seconds_count") == 2)
    server.wait_status("READY")


#: Those that only a server with --queue has.
QUEUE_KINDS = {
    "coggo_queue_connected": "gauge",
    "coggo_queue_waiting": "gauge",
    "coggo_queue_running": "gauge",
    "coggo_queue_oldest_seconds": "gauge",
    "coggo_queue_workers": "gauge",
    "coggo_queue_slots": "gauge",
    "coggo_queue_stuck": "gauge",
    "coggo_queue_redelivered": "counter",
    "coggo_queue_taken_over": "counter",
    "coggo_queue_fenced": "counter",
    "coggo_queue_returned": "counter",
    "coggo_queue_publish_seconds": "histogram",
}


@pytest.fixture
def known(server, start_fleet):
    """Every sample of a server, and of one on a queue."""
    worker = start_fleet().worker(MODEL, name="acme/model")
    until("it knows its model", lambda: "coggo_queue_slots" in families(worker))
    found = families(worker)
    assert {name: f.type for name, f in found.items() if name.startswith("coggo_queue_")} == {
        "coggo_queue_seconds": "histogram",
        **QUEUE_KINDS,
    }
    both = [*families(server).values(), *found.values()]
    return {sample.name for family in both for sample in family.samples}


def expressions():
    """Those of the alerts."""
    [rules] = re.findall(
        r"```yaml\n(groups:.*?)```", (ROOT / "docs/operating.md").read_text(), re.DOTALL
    )
    names = re.findall(r"- alert: (\w+)\n", rules)
    assert len(set(names)) == len(names) == rules.count('annotations: {summary: "')
    return re.findall(r"expr: (.*)", rules)


def test_the_dashboard_uses_only_metrics_that_exist(known):
    dashboard = json.loads((ROOT / "deploy" / "grafana-dashboard.json").read_text())
    queries = [
        target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])
    ]
    assert len(queries) >= 12 and dashboard["title"] == "Coggo"
    asked = {name for query in queries for name in re.findall(r"\b(?:coggo|process|go)_\w+", query)}
    assert asked <= known, asked - known
    shown = {name.removesuffix("_total") for name in (*KINDS, *QUEUE_KINDS)}
    missing = {
        name for name in shown if not any(re.search(rf"{name}(_|\b)", query) for query in queries)
    }
    assert missing == set(), "the dashboard shows every metric"
    positions = [tuple(panel["gridPos"].values()) for panel in dashboard["panels"]]
    assert len(set(positions)) == len(positions)
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(positions)


def test_the_alerts_use_only_metrics_that_exist(known):
    rules = expressions()
    asked = {name for rule in rules for name in re.findall(r"\bcoggo_\w+", rule)}
    assert len(rules) >= 10 and asked <= known, asked - known


def test_the_page_lists_every_metric(known):
    page = (ROOT / "docs/operating.md").read_text() + (ROOT / "docs/queue.md").read_text()
    for name, kind in {**KINDS, **QUEUE_KINDS}.items():
        assert f"`{name}{'_total' if kind == 'counter' else ''}" in page
