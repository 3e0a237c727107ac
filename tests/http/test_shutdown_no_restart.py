"""While the server ends it does not set up a model again, however its runner ended."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from model_sources import model_source
from waiting import until

MODEL = model_source("http/shutdown_no_restart")
ASYNC = {"Prefer": "respond-async"}


def setups(server):
    """The processes that set the model up, or tried to."""
    return [int(line) for line in (server.temporary.parent / "setups").read_text().split()]


def working(server, id, until_there="never", **envelope):
    """A running synchronous request: its thread, the list for its answer, and its runner."""
    answers = []
    ask = threading.Thread(
        target=lambda: answers.append(server.predict({"until": until_there}, id=id, **envelope))
    )
    ask.start()
    until("it is there", lambda: server.get(f"/predictions/{id}").status == 200)
    return (
        ask,
        answers,
        int(until("it works", lambda: server.get(f"/predictions/{id}").json["logs"])),
    )


def told_to_stop(server, how):
    if how == "shutdown":
        server.ask("POST", "/shutdown")
    else:
        server.process.send_signal(getattr(signal, how))
    until("it refuses", lambda: "shutting down" in server.predict({}).json.get("error", ""))


def ended(server, count):
    """Check that the server ended in order, and how many setups there were in all."""
    assert server.process.wait(30) == 0, server.log()
    assert len(setups(server)) == count == server.log().count("runner started"), server.log()


PATIENT = ("--runner-shutdown-grace-period", "10m")


@pytest.mark.parametrize("how", ["SIGTERM", "SIGINT", "shutdown"])
def test_a_runner_killed_during_a_prediction_is_not_restarted(start, receiver, how):
    server = start(MODEL, *PATIENT, "--max-queue", "1")
    ask, answers, runner = working(server, "first")
    server.predict(
        {}, ASYNC, id="queued", webhook=receiver.url, webhook_events_filter=["completed"]
    )
    told_to_stop(server, how)
    os.kill(runner, signal.SIGKILL)
    ask.join()
    assert answers[0].json["status"] == "failed" and "signal 9" in answers[0].json["error"]
    ended(server, 1)
    assert [(body["status"], body["error"]) for body in receiver.got] == [
        ("failed", "the server shut down before the prediction ended")
    ]


def test_a_runner_killed_in_setup_is_not_restarted(start, receiver):
    server = start(MODEL, *PATIENT, "--max-queue", "1")
    ask, _, runner = working(server, "first")
    server.predict(
        {}, ASYNC, id="queued", webhook=receiver.url, webhook_events_filter=["completed"]
    )
    (server.temporary.parent / "hold").touch()
    os.kill(runner, signal.SIGKILL)
    ask.join()
    second = until("it is set up again", lambda: setups(server)[1:])[0]
    told_to_stop(server, "SIGTERM")
    os.kill(second, signal.SIGKILL)
    ended(server, 2)
    assert receiver.statuses() == ["failed"]


@pytest.mark.parametrize("how", ["SIGTERM", "shutdown"])
def test_the_other_runners_finish_their_predictions(start, receiver, how):
    server = start(MODEL, *PATIENT, "--runners", "2", "--max-queue", "1")
    until("both are ready", lambda: server.health()["concurrency"]["max"] == 2)
    one, failing, runner = working(server, "one")
    two, succeeding, _ = working(server, "two", "enough")
    server.predict(
        {}, ASYNC, id="queued", webhook=receiver.url, webhook_events_filter=["completed"]
    )
    told_to_stop(server, how)
    os.kill(runner, signal.SIGKILL)
    one.join()
    until(
        "it is given up",
        lambda: "DEFUNCT" in [runner["status"] for runner in server.health()["runners"]],
    )
    (server.temporary.parent / "enough").touch()
    two.join()
    assert (failing[0].json["status"], succeeding[0].json["output"]) == ("failed", "done")
    ended(server, 2)
    assert receiver.statuses() == ["succeeded"]


def test_after_an_ignored_signal_a_dead_runner_is_restarted(start):
    server = start(MODEL, *PATIENT, "--await-explicit-shutdown")
    ask, _, runner = working(server, "one")
    server.process.send_signal(signal.SIGTERM)
    until("it is ignored", lambda: "SIGTERM ignored" in server.log())
    os.kill(runner, signal.SIGKILL)
    ask.join()
    server.wait_status("READY")
    ask, _, runner = working(server, "two")
    told_to_stop(server, "SIGINT")
    os.kill(runner, signal.SIGKILL)
    ask.join()
    ended(server, 2)


def test_a_runner_killed_by_the_server_is_not_restarted_during_shutdown(start, receiver):
    deaf = MODEL.replace(
        "            time.sleep(0.02)\n        return", "            self.sleep()\n        return"
    )
    deaf += """
    def sleep(self):
        try:
            time.sleep(0.02)
        except BaseException:
            pass
"""
    server = start(deaf, "--runner-shutdown-grace-period", "0", "--cancel-grace", "0.2")
    receiver.answer = lambda n: (
        until("it is given up", lambda: server.health()["status"] == "DEFUNCT") and 200
    )
    ask, answers, _ = working(
        server, "deaf", webhook=receiver.url, webhook_events_filter=["completed"]
    )
    server.process.send_signal(signal.SIGTERM)
    ask.join()
    assert answers[0].json["status"] == "failed"
    ended(server, 1)


@pytest.mark.parametrize("how", ["SIGTERM", "shutdown"])
def test_a_runner_that_waits_for_a_reload_is_not_restarted(start, receiver, how):
    server = start(MODEL, *PATIENT, "--reload", "--max-queue", "1")
    ask, answers, _ = working(server, "first", "there")
    server.predict(
        {}, ASYNC, id="queued", webhook=receiver.url, webhook_events_filter=["completed"]
    )
    model = server.temporary.parent
    (model / "predict.py").write_text(MODEL + "# anew")
    until("it is to be reloaded", lambda: "predictions may end before" in server.log())
    told_to_stop(server, how)
    (model / "there").touch()
    ask.join()
    assert answers[0].json["output"] == "done"
    ended(server, 1)
    assert receiver.statuses() == ["failed"]
    assert "does not end" not in server.log()
