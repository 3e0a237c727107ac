"""Each limit has a default, and its error states it: docs/http-api.md#limits."""

from __future__ import annotations

import concurrent.futures
import socket

import pytest

from faults_memory import SHAPES
from model_sources import model_source
from servers import measures_memory

MODEL = """
class Predictor:
    def predict(self, lines: int = 0, name: str = "") -> str:
        if lines:
            print("\\n".join(f"line {n}" for n in range(lines)))
        return "done"
"""


@pytest.fixture(scope="module")
def server(start_once):
    return start_once(MODEL, "--max-body", "1MiB", "--max-log-bytes", "1KB")


@pytest.mark.parametrize("size", [1 << 20, 20 << 20])
def test_413_for_a_body_that_is_too_large_even_if_it_is_sent_completely(server, size):
    answer = server.ask("POST", "/predictions", b'{"x": "' + b"a" * size + b'"}')
    assert answer.status == 413
    assert "1048576 bytes" in answer.json["detail"] and "--max-body" in answer.json["detail"]
    assert server.predict({}).status == 200


def test_a_body_of_exactly_the_limit_is_accepted(server):
    frame = b'{"input": {"name": ""}}'
    body = frame.replace(b'""', b'"%s"' % (b"a" * ((1 << 20) - len(frame))))
    assert len(body) == 1 << 20
    assert server.ask("POST", "/predictions", body).status == 200


def test_413_for_a_chunked_body_that_is_too_large(server):
    body = (b"10000\r\n" + b"a" * 0x10000 + b"\r\n") * 64 + b"0\r\n\r\n"
    answer = server.ask("POST", "/predictions", body, Transfer_Encoding="chunked")
    assert answer.status == 413 and answer.headers["content-type"] == "application/json"


def refused_early(port: int, head: bytes) -> bytes:
    """The answer before any byte of the body is sent."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(head)
        return connection.recv(65536)


@pytest.mark.parametrize("expect", [b"", b"Expect: 100-continue\r\n"])
def test_413_comes_before_the_body(server, expect):
    head = (
        b"POST /predictions HTTP/1.1\r\nHost: x\r\n" + expect + b"Content-Length: 500000000\r\n\r\n"
    )
    assert refused_early(server.port, head).startswith(b"HTTP/1.1 413 ")


def test_the_default_limit_accepts_100_mib(start):
    server = start(MODEL)
    assert server.ask("POST", "/predictions", b'{"x": "' + b"a" * (100 << 20) + b'"}').status == 200


def test_logs_are_cut_with_a_line_that_says_so(server):
    logs = server.predict({"lines": 1000}).json["logs"]
    assert logs.startswith("line 0\nline 1\n") and len(logs) < 1200
    assert "--max-log-bytes" in logs.splitlines()[-1]


def members(count: int) -> str:
    return ",".join(f'"{n:x}": 1' for n in range(count))


@measures_memory
@pytest.mark.parametrize(
    ("body", "loc", "bound"),
    [
        (
            '{"input": {"table": {%s}}}' % members(100_001),
            ["body", "input", "table"],
            "100000 keys",
        ),
        ('{"input": {%s}}' % members(100_001), ["body", "input"], "100000 keys"),
        (
            '{"context": {%s}}' % members(1001).replace(": 1", ': ""'),
            ["body", "context"],
            "1000 members",
        ),
        (
            '{"input": {"ints": [%s1]}}' % ("1e300," * 200_000),
            ["body", "input"],
            "3 times as large",
        ),
    ],
)
def test_422_for_a_value_with_too_many_members(start_once, body, loc, bound):
    server = start_once(SHAPES)
    before = server.memory()
    answer = server.ask("POST", "/predictions", body, timeout=120)
    assert answer.status == 422, answer.body[:500]
    problem = answer.json["detail"][0]
    assert problem["loc"] == loc and bound in problem["msg"]
    assert server.memory() - before < 4 * len(body) + (32 << 20)


def test_converted_inputs_are_right_at_any_size(start_once):
    server = start_once(
        SHAPES.replace(
            'return "done"',
            "return repr((sum(floats), {type(f) for f in floats}, len(floats), sum(flags), either))",
        )
    )
    given = {
        "floats": [1, "2", 2.5] * 3000,
        "flags": [0, 1, True] * 3000,
        "either": [1, "1", 2.0] * 2000,
        "unknown": {"é": [1]},
    }
    answer = server.predict(given).json
    assert answer["output"] == repr((5.5 * 3000, {float}, 9000, 6000, [1, "1", 2] * 2000)), answer[
        "output"
    ][:200]
    assert answer["input"] == given


FILES = model_source("http/limits_files")


def test_422_for_more_files_than_max_input_files(start_once):
    server = start_once(FILES)
    assert server.predict({"images": ["data:,"] * 63, "one": "data:,"}).status == 200
    for many in (64, 200_000):
        answer = server.predict({"images": ["data:,"] * many, "one": "data:,"})
        assert answer.status == 422
        (problem,) = answer.json["detail"]
        assert problem["loc"] == ["body", "input"] and "64 files" in problem["msg"]
        assert "--max-input-files" in problem["msg"]
    assert not server.inputs()


def test_the_number_of_input_files_can_be_set(start):
    server = start(FILES, "--max-input-files", "1")
    assert server.predict({"one": "data:,"}).status == 200
    assert server.predict({"images": ["data:,", "data:,"]}).status == 422


@pytest.mark.parametrize(
    "given", [{"times": 100_000_000, "size": 10_000}, {"times": 1, "size": 1_000_000}]
)
def test_a_prediction_that_yields_more_than_max_output_fails(start, given):
    server = start(FILES, "--max-output", "100KB")
    answer = server.predict(given).json
    assert answer["status"] == "failed"
    assert "100000 bytes" in answer["error"] and "--max-output" in answer["error"]
    assert server.predict({"times": 9, "size": 10_000}).json["status"] == "succeeded"


@pytest.mark.parametrize("size", [200_000, 3_000_000])
def test_a_prediction_that_returns_more_than_max_output_fails(start, size):
    server = start(FILES, "--max-output", "100KB", predict="predict.py:Whole")
    answer = server.predict({"size": size}).json
    assert answer["status"] == "failed" and answer["output"] is None
    assert "100000 bytes" in answer["error"] and "--max-output" in answer["error"]
    assert server.predict({"size": 90_000}).json["status"] == "succeeded"


def test_a_yielded_item_counts_128_bytes_more(start):
    """The server needs about that much for each item, however short it is."""
    server = start(FILES, "--max-output", "100KB")
    assert server.predict({"times": 700}).json["status"] == "succeeded"
    assert "--max-output" in server.predict({"times": 800}).json["error"]


def upload(server, size):
    body = (
        b'--x\r\nContent-Disposition: form-data; name="content"; filename="a"\r\n\r\n'
        + b"a" * size
        + b"\r\n--x--\r\n"
    )
    return server.ask("POST", "/v1/files", body, Content_Type="multipart/form-data; boundary=x")


def test_507_for_uploads_whose_sum_exceeds_max_uploads(start):
    server = start(FILES, "--max-uploads", "3MiB")
    assert upload(server, 4 << 20).status == 507
    first, second = upload(server, 1 << 20), upload(server, 1 << 20)
    assert (first.status, second.status) == (201, 201)
    full = upload(server, 1 << 20)
    assert full.status == 507 and "--max-uploads" in full.json["detail"]
    assert len(server.get("/v1/files").json["results"]) == 2
    assert server.ask("DELETE", f"/v1/files/{first.json['id']}").status == 204
    assert upload(server, 1 << 20).status == 201


@pytest.mark.parametrize(
    "capacity", ["4611686018427387905", "9223372036854775807", "99999999999999999999"]
)
def test_a_very_large_history_capacity_means_no_limit(start, capacity):
    server = start(FILES, env={"COG_STREAM_HISTORY_CAPACITY": capacity})
    assert server.predict({"times": 5000}).json["status"] == "succeeded"


@measures_memory
@pytest.mark.parametrize("path", ["/predictions", "/v1/predictions"])
def test_a_list_copies_only_what_it_shows(start, path):
    server = start(MODEL.replace('"done"', "name * 300_000"))
    for _ in range(50):
        server.predict({"lines": 30_000, "name": "x"})
    before = server.memory()
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        pages = list(pool.map(lambda _: server.get(path).json["results"], range(48)))
    grown = server.memory() - before
    assert all(
        len(page) == 50 and page[0]["output"] is None and len(page[0]["logs"]) <= 1024
        for page in pages
    )
    assert grown < 30 << 20, f"pages of 60 kB made the server grow by {grown >> 20} MiB"
