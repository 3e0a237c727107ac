"""Traces reach a collector and change nothing else: docs/operating.md#traces."""

from __future__ import annotations

import gzip
import http.server

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from http_peer import Peer
from model_sources import model_source
from waiting import until

MODEL = model_source("http/traces")

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"


class Collector:
    """Takes OTLP over HTTP; ``answer`` is the status it gives."""

    def __init__(self) -> None:
        self.answer = 200
        self.spans = []
        self.resources = []
        self.paths = []
        self.headers = []
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:  # noqa: N802 - the base class's name
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.paths.append(self.path)
                collector.headers.append({k.lower(): v for k, v in self.headers.items()})
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                for group in ExportTraceServiceRequest.FromString(body).resource_spans:
                    collector.resources.append(
                        {a.key: a.value.string_value for a in group.resource.attributes}
                    )
                    for scope in group.scope_spans:
                        collector.spans.extend(scope.spans)
                self.send_response(collector.answer)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_) -> None:
                pass

        self._server = Peer(Handler)
        self.url = self._server.url

    def close(self) -> None:
        self._server.close()

    def prediction(self, id, count):
        """Wait for that many spans of a prediction; return them by name, its own first."""

        def look():
            root = next(
                (
                    s
                    for s in self.spans
                    if s.name == "prediction" and attributes(s)["coggo.prediction.id"] == id
                ),
                None,
            )
            children = [s for s in self.spans if root and s.parent_span_id == root.span_id]
            return (root, children) if root and len(children) >= count else None

        return until(f"{count} spans below {id}, got {[s.name for s in self.spans]}", look)


def attributes(span):
    return {a.key: a.value.string_value or a.value.int_value for a in span.attributes}


def parents(header):
    """Trace and span of a traceparent header."""
    return header.split("-")[1:3]


def sent(store, path):
    """The headers of the request for a path."""
    return next(got.headers for got in store.got if got.path == path)


@pytest.fixture(scope="module")
def collector():
    made = Collector()
    yield made
    made.close()


@pytest.fixture(scope="module")
def server(start_once, collector):
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "50"}
    env["OTEL_EXPORTER_OTLP_HEADERS"] = "x-key=a%20b, x-other=c"
    return start_once(MODEL, env=env)


def test_a_prediction_is_a_span_with_children(server, collector, store, receiver):
    prefix = store.url + "/up/"
    body = {"image": store.add("/in.txt", b"x"), "make": True}
    server.predict(
        body,
        {"traceparent": PARENT, "tracestate": "a=b"},
        id="all",
        webhook=receiver.url,
        output_file_prefix=prefix,
    )
    receiver.wait_terminal()
    root, children = collector.prediction("all", 5)
    assert (
        root.trace_id.hex() == TRACE
        and root.parent_span_id.hex() == PARENT.split("-")[2]
        and root.trace_state == "a=b"
    )
    assert attributes(root) == {
        "coggo.prediction.id": "all",
        "coggo.method": "predict",
        "coggo.prediction.status": "succeeded",
    }
    names = [s.name for s in children]
    assert sorted(set(names)) == ["download", "predict", "upload", "webhook"]
    assert all(
        s.trace_id == root.trace_id and s.start_time_unix_nano <= s.end_time_unix_nano
        for s in children
    )
    by_name = {s.name: s for s in children}
    assert by_name["download"].end_time_unix_nano <= by_name["predict"].start_time_unix_nano
    hooks = {attributes(s)["coggo.webhook.event"]: s for s in children if s.name == "webhook"}
    assert {"start", "completed"} <= set(hooks)
    assert parents(sent(store, "/in.txt")["traceparent"]) == [
        TRACE,
        by_name["download"].span_id.hex(),
    ]
    assert parents(sent(store, "/up/out.txt")["traceparent"]) == [
        TRACE,
        by_name["upload"].span_id.hex(),
    ]
    assert parents(receiver.headers[-1]["traceparent"]) == [TRACE, hooks["completed"].span_id.hex()]
    assert receiver.headers[-1]["tracestate"] == "a=b"


def test_the_model_sees_the_span_that_it_runs_in(server, collector):
    traceparent, tracestate = server.predict(
        {}, {"traceparent": PARENT, "tracestate": "a=b"}, id="scope"
    ).json["output"]
    _, [predict] = collector.prediction("scope", 1)
    assert parents(traceparent) == [TRACE, predict.span_id.hex()] and tracestate == "a=b"


def test_a_failure_is_an_error(server, collector):
    server.predict({"fail": True}, id="failed")
    root, [predict] = collector.prediction("failed", 1)
    assert (root.status.code, root.status.message) == (2, "boom") and predict.status.code == 2
    assert attributes(root)["coggo.prediction.status"] == "failed"
    assert root.parent_span_id == b"" and root.trace_id.hex() != TRACE


def test_the_exporter_follows_its_variables(server, collector):
    server.predict({}, id="headers")
    collector.prediction("headers", 1)
    assert set(collector.paths) == {"/v1/traces"}
    assert (collector.headers[0]["x-key"], collector.headers[0]["x-other"]) == ("a b", "c")
    assert collector.headers[0]["content-type"] == "application/x-protobuf"
    about = collector.resources[0]
    assert about["service.name"] == "coggo" and about["service.version"].startswith("0.")


def test_the_variables_for_traces_override_the_common_ones(start):
    collector = Collector()
    env = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": collector.url + "/here",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip", "OTEL_SERVICE_NAME": "mine", "OTEL_BSP_SCHEDULE_DELAY": "60000",
    }  # fmt: skip
    server = start(MODEL, env=env)
    server.predict({}, id="late")
    server.close()  # the server sends the last spans at its end
    collector.prediction("late", 1)
    collector.close()
    assert collector.paths == ["/here"] and collector.resources[0]["service.name"] == "mine"
    assert collector.headers[0]["content-encoding"] == "gzip"


@pytest.mark.parametrize("answer", [500, 503, None], ids=["refused", "busy", "nobody there"])
def test_a_collector_that_fails_affects_no_prediction(start, answer):
    collector = Collector()
    if answer is None:
        collector.close()
    else:
        collector.answer = answer
    env = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_BSP_SCHEDULE_DELAY": "20",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "300",
    }
    server = start(MODEL, env=env)
    for _ in range(20):
        assert server.predict({}).json["status"] == "succeeded"
    until("a line in the log", lambda: "export traces" in server.log())
    assert server.log().count("export traces") == 1
    server.close()
    if answer is not None:
        collector.close()


@pytest.mark.parametrize(
    "env",
    [
        {},
        {"OTEL_SDK_DISABLED": "true"},
        {"OTEL_TRACES_EXPORTER": "none"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "nowhere"},
    ],
    ids=str,
)
def test_without_traces_the_trace_context_of_the_request_is_passed_on_unchanged(start, env):
    server = start(
        MODEL, env={"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1" if env else "", **env}
    )
    assert server.predict({}, {"traceparent": PARENT, "tracestate": "a=b"}).json["output"] == [
        PARENT,
        "a=b",
    ]
    assert server.predict({}, {"traceparent": "odd"}).json["output"] == ["odd", None]
    assert server.predict({}).json["output"] == [None, None]
    assert ("no traces" in server.log()) == ("nowhere" in env.values())
