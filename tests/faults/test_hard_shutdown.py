"""Shutdown against obstacles: models that ignore cancels, threads, daemons, slow receivers and
half-open connections.
"""

from __future__ import annotations

import signal
import socket
import threading
import time

import pytest

from faults_models import ASYNC_MODEL, MODEL, asked, begun, ends, files_in
from http_harness import processes
from waiting import until

pytestmark = pytest.mark.timed

THREADED = MODEL.replace(
    "class Predictor(BasePredictor):",
    """import threading
class Predictor(BasePredictor):
    def healthcheck(self):
        threading.Thread(target=time.sleep, args=[600]).start()
        return True
""",
)


def test_the_server_ends_in_time_with_every_obstacle_at_once(start, receiver, tmp_path):
    server = start(
        ASYNC_MODEL,
        "--max-concurrency",
        "16",
        "--working-dir",
        str(tmp_path),
        "--runner-shutdown-grace-period",
        "1",
    )
    receiver.answer = lambda n: time.sleep(0.5) or 200
    server.predict({"action": "child,session,daemon"})
    for n in range(8):
        asked(server, {"s": 600 if n % 2 else 0.5, "n": n}, id=f"p{n}", webhook=receiver.url)
    for n in range(8):
        begun(server, f"p{n}")
    with socket.create_connection(("127.0.0.1", server.port)) as slow:
        slow.sendall(b"POST /predictions HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(30) == 0
    want = {f"p{n}": ["failed" if n % 2 else "succeeded"] for n in range(8)}
    assert ends(receiver) == want
    until("every process is gone", lambda: not processes(f"TMPDIR={server.temporary}"), 5)
    left = [name for name in files_in(tmp_path) if not name.startswith("results/")]
    assert set(left) <= {"lock", "logs", "openapi.json", "setup-result.json", "reserve", "stop"}, (
        left
    )


SLOW_TO_TELL = """
import signal, threading, time
signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals))
class Predictor:
    def predict(self, s: float = 0, size: int = 0) -> str:
        end = time.monotonic() + s
        while time.monotonic() < end: time.sleep(0.1)
        threading.Thread(target=time.sleep, args=[600]).start()  # which keeps the process from ending by itself
        return "x" * size
"""


@pytest.mark.parametrize("receivers", ["hang", "answer"])
def test_the_end_after_the_grace_period_fits_into_eight_seconds(start, receiver, receivers):
    """With a model that ignores cancels, a webhook that its receiver does not answer and a client
    that reads nothing. There are 4 s more, because the machine may be busy.
    """
    release = threading.Event()
    receiver.answer = lambda n: (receivers == "answer" or release.wait(60), 200)[1]
    server = start(SLOW_TO_TELL, "--runner-shutdown-grace-period", "1", "--runners", "2")
    until("both are ready", lambda: server.health()["concurrency"]["max"] == 2)
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        body = b'{"input": {"size": 33554432}}'
        client.sendall(
            b"POST /predictions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
            + body
        )
        assert client.recv(1)
        asked(
            server, {"s": 600}, id="it", webhook=receiver.url, webhook_events_filter=["completed"]
        )
        until("it runs", lambda: server.get("/predictions/it").json["status"] == "processing")
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(1 + 8 + 4) == 0
    release.set()
    assert ends(receiver) == {"it": ["failed"]}


@pytest.mark.parametrize("how", ["SIGTERM", "SIGINT"])
def test_a_second_signal_ends_a_model_that_ignores_everything(start, receiver, how):
    server = start(MODEL)
    asked(server, {"action": "stubborn,child", "s": 600}, id="it", webhook=receiver.url)
    begun(server, "it")
    for _ in range(2):
        server.process.send_signal(getattr(signal, how))
        until("it is shutting down", lambda: "shutting down" in server.log())
    begin = time.monotonic()
    assert server.process.wait(30) == 0
    assert time.monotonic() - begin < 8, "it did not wait for the grace period of cancels"
    until("every process is gone", lambda: not processes(f"TMPDIR={server.temporary}"), 5)


def test_threads_that_never_end_do_not_delay_the_shutdown(start):
    server = start(THREADED)
    assert server.health()["status"] == "READY"
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(20) == 0


def test_processes_started_by_setup_end_too(start):
    source = MODEL.replace(
        'if os.environ.get("IN_SETUP"):',
        'if os.environ.get("IN_SETUP") and not ACTIONS["daemon"]():',
    )
    server = start(
        source.replace('ACTIONS[os.environ["IN_SETUP"]]()', "time.sleep(600)"),
        env={"IN_SETUP": "1"},
        ready=False,
    )
    mark = f"TMPDIR={server.temporary}"
    until("the daemon runs", lambda: len(processes(mark)) >= 3)
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(20) == 0
    until("every process is gone", lambda: not processes(mark), 5)
