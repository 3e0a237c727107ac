"""A prediction that the next server recovers keeps its logs."""

from __future__ import annotations

import os
import signal

import pytest

from faults_models import ASYNC, ends
from model_sources import model_source
from waiting import until

MODEL = model_source("faults/recovered_logs")
LINES = "printed\nto fd 2\nof a child\nx\nhalf a line"
AT_THE_END = LINES + "\n"  # the end of a prediction ends its line


@pytest.fixture
def where(tmp_path):
    return ("--working-dir", str(tmp_path / "spool"))


def asked_for(server, gate, receiver, seen, **input):
    body = {
        "input": {"gate": str(gate), **input},
        "webhook": receiver.url,
        "webhook_events_filter": ["completed"],
    }
    assert server.ask("PUT", "/predictions/it", body, **ASYNC).status == 202
    until("it has written", lambda: server.get("/predictions/it").json["logs"].endswith(seen))


@pytest.mark.parametrize("killed", ["server", "both"])
def test_a_prediction_recovered_as_failed_keeps_its_logs(start, receiver, where, tmp_path, killed):
    first = start(MODEL, *where)
    asked_for(first, tmp_path / "gate", receiver, LINES)
    runner = first.runner()
    first.kill()
    if killed == "both":
        try:
            os.kill(runner, signal.SIGKILL)
        except ProcessLookupError:  # the kernel was faster
            pass
    second = start(MODEL, *where)
    body = second.ended("it")
    assert body["status"] == "failed" and body["logs"] == AT_THE_END
    assert receiver.wait_terminal()["logs"] == AT_THE_END
    listed = second.get("/predictions").json["results"]
    assert [one["logs"] for one in listed if one["id"] == "it"] == [AT_THE_END]
    second.kill()  # and the server after that one
    assert start(MODEL, *where).get("/predictions/it").json["logs"] == AT_THE_END
    assert {len(told) for told in ends(receiver).values()} == {1}


def test_a_rerun_prediction_has_the_logs_of_the_new_run(start, receiver, where, tmp_path):
    first = start(MODEL, *where)
    asked_for(first, tmp_path / "gate", receiver, LINES)
    first.kill()
    (tmp_path / "gate").touch()
    second = start(MODEL, *where, "--recover", "rerun", ready=False)
    body = second.ended("it")
    assert body["status"] == "succeeded" and body["logs"] == LINES + "; its rest\n"


def test_recovered_logs_include_the_lines_of_the_server_about_the_input(
    start, receiver, where, tmp_path
):
    said = "ignored unknown input: odd\n"
    first = start(MODEL, *where)
    asked_for(first, tmp_path / "gate", receiver, LINES, odd=1)
    first.kill()
    assert start(MODEL, *where).ended("it")["logs"] == said + AT_THE_END


def test_recovered_logs_are_bounded(start, receiver, where, tmp_path):
    limit = ("--max-log-bytes", "1000")
    first = start(MODEL, *where, *limit)
    asked_for(first, tmp_path / "gate", receiver, "see --max-log-bytes]\n", n=5_000_000)
    (record,) = (tmp_path / "spool").glob("logs-*")
    assert record.stat().st_size <= 1001
    first.kill()
    logs = start(MODEL, *where, *limit).ended("it")["logs"]
    assert logs.startswith("printed\nto fd 2\nof a child\n") and logs.endswith(
        "see --max-log-bytes]\n"
    )


def test_recovered_logs_include_the_line_that_the_limit_cuts(start, receiver, where, tmp_path):
    limit = ("--max-log-bytes", "1000000")
    first = start(MODEL, *where, *limit)
    asked_for(first, tmp_path / "gate", receiver, "see --max-log-bytes]\n", n=5_000_000)
    logs = first.get("/predictions/it").json["logs"]
    assert logs.count("x") > 999_000
    first.kill()
    assert start(MODEL, *where, *limit).ended("it")["logs"] == logs


def test_the_record_of_the_logs_is_removed_with_the_prediction(start, receiver, where, tmp_path):
    server = start(MODEL, *where)
    asked_for(server, tmp_path / "gate", receiver, LINES)
    assert list((tmp_path / "spool").glob("logs-*"))
    (tmp_path / "gate").touch()
    assert server.ended("it")["status"] == "succeeded"
    assert server.predict({"gate": "/"}).json["status"] == "succeeded"
    assert not list((tmp_path / "spool").glob("logs-*"))


def test_a_symbolic_link_in_place_of_the_record_is_not_followed(start, where, tmp_path):
    bad = tmp_path / "precious"
    bad.write_text("as it was")
    plant = f"        os.symlink({str(bad)!r}, {str(tmp_path / 'spool' / 'logs-it.txt')!r})\n"
    source = MODEL.replace(
        '        print("printed")\n', plant + '        time.sleep(0.1)\n        print("printed")\n'
    )
    server = start(source, *where)
    body = server.predict({"gate": "/"}, id="it").json
    assert body["status"] == "succeeded" and "printed" in body["logs"]
    assert bad.read_text() == "as it was"
