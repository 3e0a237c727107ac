"""Large output files are never in memory: docs/http-api.md#files."""

from __future__ import annotations

import pathlib

import pytest

from http_events import Stream
from http_harness import data_of
from model_sources import model_source
from servers import measures_memory
from waiting import until

LARGE = model_source("http/output_files_large")


@pytest.fixture
def large(start):
    return start(LARGE)


def peaks(server):
    """The peak memory of the server and its runner together."""
    total = 0
    for pid in (server.process.pid, server.runner()):
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        total += int(status.split("VmHWM:")[1].split()[0]) * 1024
    return total


def large_contents(mebibytes):
    return bytes(range(256)) * 4096 * mebibytes + b"end"


def test_a_large_file_becomes_a_data_url_without_being_in_memory(large):
    url = large.predict({}).json["output"]
    assert data_of(url) == (large_contents(64), "application/octet-stream")
    assert peaks(large) < 120 << 20
    assert large.temporary_files() == set()


def test_a_large_file_that_the_model_overwrites_keeps_its_contents(large):
    first = large.predict({"here": True}, id="first").json["output"]
    large.predict({"here": True, "mebibytes": 2}, id="second")
    assert (
        data_of(large.get("/predictions/first").json["output"])[0]
        == data_of(first)[0]
        == large_contents(64)
    )
    assert data_of(large.get("/predictions/second").json["output"])[0] == large_contents(2)
    assert peaks(large) < 120 << 20


def test_a_large_file_is_uploaded_without_being_in_memory(large, store):
    assert (
        large.predict({}, output_file_prefix=store.url + "/up").json["output"]
        == store.url + "/up/large.bin"
    )
    assert store.got[0].body == large_contents(64)
    assert peaks(large) < 60 << 20


def test_a_large_file_can_be_read_any_number_of_times(large, receiver):
    body = {"input": {"mebibytes": 2, "many": True}, "webhook": receiver.url}
    first = large.ask("PUT", "/predictions/often", body)
    output = first.json["output"]
    assert (
        list(output) == ["before", "é", "after"]
        and output["before"] == [1, None]
        and output["after"] is None
    )
    assert data_of(output["é"][0])[0] == large_contents(2) and output["é"][1] == "x"
    assert int(first.headers["content-length"]) == len(first.body)
    for again in (
        large.get("/predictions/often"),
        large.ask("PUT", "/predictions/often", body),
        large.ask("PUT", "/predictions/often", body, Prefer="wait=5"),
    ):
        assert again.json == first.json
    assert receiver.wait_terminal() == first.json
    assert large.get("/v1/predictions/often").json["output"] == output
    (listed,) = large.get("/predictions").json["results"]
    assert listed["output"] is None
    with Stream(large.port, "GET", "/predictions/often/stream") as stream:
        assert list(stream)[-1].data == first.json


def test_a_large_file_outlives_the_server(start, tmp_path):
    flags = ["--working-dir", str(tmp_path / "dir")]
    server = start(LARGE, *flags)
    server.predict({"mebibytes": 2}, {"Prefer": "respond-async"}, id="kept")
    output = server.ended("kept")["output"]
    server.kill()
    again = start(LARGE, *flags)
    assert again.get("/predictions/kept").json["output"] == output


YIELDED = model_source("http/output_files_yielded")


@measures_memory
@pytest.mark.parametrize("how", ["yielded", "webhook", "kept", "recovered"])
def test_a_large_file_is_never_in_memory_on_any_path(start, receiver, tmp_path, how):
    flags = ["--working-dir", str(tmp_path / "dir")] if how in ("kept", "recovered") else []
    server = start(YIELDED if how == "yielded" else LARGE, *flags)
    before = server.memory()
    server.predict(
        {},
        {"Prefer": "respond-async"},
        id="it",
        **({} if how == "yielded" else {"webhook": receiver.url}),
    )
    until("it has ended", lambda: 'status="succeeded"} 1' in server.get("/metrics").body.decode())
    if how == "recovered":
        server.kill()
        server = start(LARGE, *flags)
    output = server.get("/predictions/it").json["output"]
    assert data_of(output[0] if how == "yielded" else output)[0] == large_contents(64)
    if how == "yielded":
        with Stream(server.port, "GET", "/predictions/it/stream") as stream:
            assert data_of(next(e for e in stream if e.name == "output").data["chunk"])[
                0
            ] == large_contents(64)
        assert (
            server.get("/v1/predictions/it/stream").body.decode().split("\n")[2]
            == "data: " + output[0]
        )
    else:
        assert receiver.wait_terminal()["output"] == output
    grown = server.memory() - before
    assert grown < 40 << 20, f"a file of 64 MiB made the server grow by {grown >> 20} MiB"
