"""What clients see when a part of a queue fails: each row of the table in docs/queue.md."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import signal
import socket
import threading
import time

import pytest

from faults_models import ASYNC
from model_sources import model_source
from nats_client import Nats
from queue_harness import counter, runs
from waiting import until

#: Waits for a file, and says which process of the server ran it.
MODEL = model_source("queue/gated")

#: More than fits into a message: it lies in pieces.
LARGE = "x" * 600_000

#: How long a worker may be silent in these tests. The default of 10 s is for networks.
SILENCE = 1.5


@pytest.fixture
def quick(start_fleet):
    """A fleet without processes, whose broker gives a message of ``test/quick`` to another worker
    soon.
    """
    fleet = start_fleet()
    quicken(fleet.broker.url)
    return fleet


def quicken(url):
    """Make the stream and the consumer as a server would, but with a short AckWait."""
    nats = Nats(url)
    nats.api(
        "STREAM.CREATE.COGGO_Q",
        name="COGGO_Q",
        subjects=["coggo.q.>"],
        retention="workqueue",
        storage="file",
        discard="new",
    )
    config = {
        "durable_name": "test%2Fquick",
        "filter_subject": "coggo.q.test%2Fquick.>",
        "ack_policy": "explicit",
        "deliver_policy": "all",
        "ack_wait": int(SILENCE * 1e9),
        "max_deliver": -1,
        "max_ack_pending": -1,
        "max_waiting": 512,
    }
    nats.api(
        "CONSUMER.CREATE.COGGO_Q.test%2Fquick.coggo.q.test%2Fquick.>",
        stream_name="COGGO_Q",
        config=config,
        action="create",
    )
    nats.close()


def serve(fleet, *flags, workers=2, gateways=1):
    return fleet.serve(MODEL, *flags, workers=workers, gateways=gateways, name="test/quick")


class Gate:
    """A file that the model waits for, and one that it notes its runs in."""

    def __init__(self, directory):
        self.directory = directory
        self.input = {"gate": str(directory / "gate"), "begun": str(directory / "begun")}

    def runs(self):
        """The servers that have begun to run it, in order."""
        try:
            return [int(line) for line in (self.directory / "begun").read_text().split()]
        except FileNotFoundError:
            return []

    def wait(self, count=1):
        return until(f"it runs {count} times", lambda: len(self.runs()) >= count and self.runs())

    def open(self):
        (self.directory / "gate").touch()


@pytest.fixture
def gate(tmp_path):
    return Gate(tmp_path)


def of(fleet, pid):
    """The worker with this process."""
    return next(worker for worker in fleet.workers if worker.process.pid == pid)


def put(server, id, input, **headers):
    return server.ask("PUT", f"/predictions/{id}", {"input": input}, **headers)


def put_async(server, id, input, **envelope):
    body = {"input": input, **envelope}
    answer = server.ask("PUT", f"/predictions/{id}", body, **ASYNC)
    assert answer.status == 202, answer
    return answer


def completed(receiver):
    """The members of a request that wants the terminal webhook."""
    return {"webhook": receiver.url, "webhook_events_filter": ["completed"]}


def test_what_a_killed_worker_had_runs_again(quick, receiver, gate):
    gateway, other = serve(quick, gateways=2).gateways
    put_async(gateway, "a", gate.input, **completed(receiver))
    first = gate.wait()[0]
    of(quick, first).kill()
    second = gate.wait(2)[1]
    gate.open()
    assert second != first
    end = other.ended("a")
    assert end["output"] == str(second)
    receiver.wait(1)
    assert receiver.got == [end]
    assert counter(of(quick, second), "coggo_queue_taken_over_total") == 1


def test_with_recover_fail_what_a_killed_worker_had_fails(quick, gate):
    gateway = serve(quick, "--recover", "fail").gateways[0]
    put_async(gateway, "a", gate.input)
    of(quick, gate.wait()[0]).kill()
    ended = gateway.ended("a")
    assert (ended["status"], ended["error"]) == (
        "failed",
        "the worker was lost before the prediction ended",
    )
    assert len(gate.runs()) == 1


def test_poison_fails_after_so_many_lost_workers(quick, gate):
    gateway = serve(quick, "--max-attempts", "2", workers=3).gateways[0]
    put_async(gateway, "a", {**gate.input, "poison": True})
    ended = gateway.ended("a", 20)
    assert (ended["status"], ended["error"]) == (
        "failed",
        "the worker was lost 2 times while this ran",
    )
    assert len(set(gate.runs())) == 2
    assert gateway.predict({"name": "next"}).json["output"] == "next"


def stop(*pids):
    """Stop processes; the function that is returned continues them."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
        until("all its threads have stopped", lambda pid=pid: stopped_threads(pid))
    return lambda: [os.kill(pid, signal.SIGCONT) for pid in pids]


def stopped_threads(pid):
    threads = pathlib.Path(f"/proc/{pid}/task").glob("*/stat")
    return all(thread.read_text().rpartition(")")[2].split()[0] == "T" for thread in threads)


def stop_worker(server):
    return stop(server.process.pid, server.runner())


@pytest.mark.parametrize("size", [10, 600_000])
def test_a_worker_that_was_stopped_does_not_overwrite_the_end_of_another_one(
    start_fleet, receiver, size
):
    """Ends of 600,000 bytes lie in pieces."""
    fleet = start_fleet()
    quicken(fleet.broker.url)
    source = MODEL.replace("return name or", f"return {size} * 'x' +")
    directory = fleet.worker(source, name="test/quick").process.args[-1]
    fleet.worker(source, name="test/quick")
    gateway = fleet.gateway("--name", "test/quick")

    gate = Gate(pathlib.Path(directory))
    put_async(gateway, "a", gate.input, **completed(receiver))
    first = of(fleet, gate.wait()[0])
    proceed = stop_worker(first)
    second = gate.wait(2)[1]
    gate.open()
    end = gateway.ended("a")
    assert end["output"].endswith(f"x{second}") and len(end["output"]) > size
    proceed()
    until("its end was refused", lambda: counter(first, "coggo_queue_fenced_total") == 1)
    assert "another worker has taken over" in first.log()
    assert gateway.get("/predictions/a").json == end
    assert fleet.gateway("--name", "test/quick").get("/predictions/a").json == end
    assert gateway.predict({}).status == 200
    receiver.wait(1)
    assert receiver.got == [end]


def test_a_worker_that_was_stopped_cancels_what_another_one_has_taken_over(quick, gate):
    gateway = serve(quick).gateways[0]
    put_async(gateway, "a", gate.input)
    first = of(quick, gate.wait()[0])
    proceed = stop_worker(first)
    gate.wait(2)
    proceed()
    until("its run is canceled", lambda: counter(first, "coggo_queue_fenced_total") == 1)
    gate.open()
    assert gateway.ended("a")["status"] == "succeeded"


def test_a_message_that_lay_in_a_stopped_worker_does_not_replace_a_later_run(quick):
    serve(quick, gateways=2)
    gateway = quick.gateways[0]
    stopped = quick.workers[0]
    proceed = stop_worker(stopped)
    for n in range(4):  # one of them goes to the stopped worker, which waits for one
        put_async(gateway, f"p{n}", {"name": "first"})
    for n in range(4):
        assert gateway.ended(f"p{n}")["output"] == "first"
    for n in range(4):
        assert put(gateway, f"p{n}", {"name": "later"}).json["output"] == "later"
    proceed()
    quick.workers[1].kill()
    pid = stopped.process.pid
    assert put(gateway, "next", {}).json["output"] == str(pid), "it has a free slot again"
    stopped.close()  # which waits until all that it has is stored
    for n in range(4):
        for server in quick.gateways:
            assert server.get(f"/predictions/p{n}").json["output"] == "later"


class Left:
    """A client that waits for a PUT, and goes away."""

    def __init__(self, server, id, input):
        body = json.dumps({"input": input}).encode()
        head = f"PUT /predictions/{id} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        self._socket = socket.create_connection(("127.0.0.1", server.port), timeout=20)
        self._socket.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)

    def leave(self):
        self._socket.close()


@pytest.fixture
def idle(quick):
    """A gateway of a queue whose only worker has gone: all predictions wait."""
    serve(quick, workers=1)
    quick.workers[0].close()
    return quick.gateways[0]


def waiting(gateway, count):
    until(f"{count} wait", lambda: gateway.health()["queue"]["waiting"] == count)


def test_a_waiting_prediction_that_was_canceled_with_its_client_is_not_the_answer_to_another_put(
    idle,
):
    client = Left(idle, "a", {"name": "x"})
    waiting(idle, 1)
    client.leave()
    waiting(idle, 0)
    assert idle.get("/predictions/a").json["status"] == "canceled"
    assert put_async(idle, "a", {"name": "x"}).json["status"] == "starting"


def test_a_large_prediction_that_was_canceled_can_be_read(idle):
    put_async(idle, "a", {"name": LARGE})
    assert idle.ask("POST", "/predictions/a/cancel").status == 200
    end = idle.ended("a")
    assert (end["status"], end["output"], end["input"]) == ("canceled", None, {"name": LARGE})


def test_a_put_elsewhere_keeps_what_a_stopped_gateway_would_cancel(quick, gate):
    serve(quick, gateways=2)
    stopped, other = quick.gateways
    clients = [Left(stopped, id, gate.input) for id in ("kept", "left")]
    gate.wait(2)
    proceed = stop(stopped.process.pid)
    for client in clients:
        client.leave()
    assert put(other, "kept", gate.input).status == 202
    time.sleep(1.5)  # so that the gateway looks after its clients as soon as it continues
    proceed()
    assert other.ended("left")["status"] == "canceled"
    gate.open()
    assert other.ended("kept")["status"] == "succeeded"


def test_workers_ask_for_work_as_soon_as_the_broker_is_back(quick):
    serve(quick)
    quick.broker.kill()
    quick.broker.start()

    def asking():
        nats = Nats(quick.broker.url)
        try:
            return nats.api("CONSUMER.INFO.COGGO_Q.test%2Fquick")["num_waiting"]
        finally:
            nats.close()

    until("both ask", lambda: asking() == 2, 8)


@pytest.mark.parametrize("flags", [(), ("--recover", "fail")], ids=["rerun", "fail"])
def test_what_runs_while_the_broker_is_down_goes_on_and_its_end_is_stored_later(quick, gate, flags):
    gateway = serve(quick, *flags).gateways[0]
    put_async(gateway, "a", gate.input)
    (first,) = gate.wait()
    runs(gateway, "a")  # the broker has its claim
    quick.broker.kill()
    until("it has heard", lambda: gateway.get("/readyz").status == 503)
    refused = put(gateway, "b", {})
    assert refused.status == 503 and int(refused.headers["retry-after"]) >= 1
    time.sleep(2 * SILENCE)  # so that the broker takes the worker for lost when it is back
    quick.broker.start()
    for server in (gateway, *quick.workers):
        until("it is back", lambda server=server: "broker is back" in server.log())
    time.sleep(2 * SILENCE)  # whether it comes again depends on which worker was back first
    gate.open()
    end = gateway.ended("a")
    assert (end["status"], end["output"]) == ("succeeded", str(first))
    assert len(gate.runs()) == 1


def test_an_end_that_comes_while_the_broker_is_down_is_stored_later(quick, gate):
    gateway = serve(quick, workers=1).gateways[0]
    put_async(gateway, "a", gate.input)
    gate.wait()
    quick.broker.kill()
    gate.open()
    worker = quick.workers[0]
    until("it has ended", lambda: 'status="succeeded"} 1' in worker.get("/metrics").body.decode())
    quick.broker.start()
    until("it is back", lambda: gateway.get("/readyz").status == 200)
    assert gateway.ended("a")["status"] == "succeeded"
    assert len(gate.runs()) == 1


def test_a_message_that_comes_twice_runs_once(quick, gate):
    gateway = serve(quick).gateways[0]
    put_async(gateway, "a", gate.input)
    gate.wait()
    runs(gateway, "a")  # the broker has its claim
    nats = Nats(quick.broker.url)
    # Stream and consumer count from 1; the time of the delivery is not looked at.
    nats.publish("$JS.ACK.COGGO_Q.test%2Fquick.1.1.1.0.0", b"-NAK")
    again = lambda w: counter(w, "coggo_queue_redelivered_total")  # noqa: E731
    until("it comes again", lambda: any(map(again, quick.workers)))
    nats.close()
    gate.open()
    assert gateway.ended("a")["status"] == "succeeded"
    assert len(gate.runs()) == 1


def test_after_its_gateway_was_killed_a_put_elsewhere_joins(quick, gate):
    serve(quick, gateways=2)
    first, other = quick.gateways
    client = Left(first, "a", gate.input)
    gate.wait()
    first.kill()
    assert put(other, "a", gate.input).status == 202
    gate.open()
    assert other.ended("a")["status"] == "succeeded"
    assert put(other, "a", gate.input).status == 200
    assert len(gate.runs()) == 1
    client.leave()


def test_a_put_whose_end_has_expired_runs_anew(quick):
    """The broker remembers for two minutes that it had the same request."""
    short = ["--retain-for", "1s"]
    quick.worker(MODEL, *short, name="test/quick")
    gateway = quick.gateway(*short, "--name", "test/quick")
    for _ in range(2):
        assert put(gateway, "a", {"name": "x"}).json["output"] == "x"
        until("it has expired", lambda: gateway.get("/predictions/a").status == 404)


class Line:
    """A line to the broker that can be cut: nothing comes through, and nobody is told."""

    def __init__(self, url):
        self._broker = int(url.rpartition(":")[2])
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"nats://127.0.0.1:{self._listener.getsockname()[1]}"
        self.whole = threading.Event()
        self.whole.set()
        self._open = [self._listener]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                broker = socket.create_connection(("127.0.0.1", self._broker))
                self._open += [client, broker]
                for ends in [(client, broker), (broker, client)]:
                    threading.Thread(target=self._carry, args=ends, daemon=True).start()

    def _carry(self, source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                self.whole.wait()
                target.sendall(data)

    def close(self):
        self.whole.set()
        for end in self._open:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@pytest.fixture
def line(quick):
    made = Line(quick.broker.url)
    yield made
    made.close()


def test_a_worker_that_is_cut_off_from_the_broker_ends_nothing(quick, line, gate):
    cut_off = quick.worker(MODEL, name="test/quick", address=["--queue", line.url])
    gateway = quick.gateway("--name", "test/quick")
    put_async(gateway, "a", gate.input)
    gate.wait()
    line.whole.clear()
    other = quick.worker(MODEL, name="test/quick")
    gate.wait(2)
    gate.open()
    end = gateway.ended("a")
    assert end["output"] == str(other.process.pid)
    line.whole.set()
    until("its end was refused", lambda: counter(cut_off, "coggo_queue_fenced_total") == 1)
    assert gateway.get("/predictions/a").json == end
