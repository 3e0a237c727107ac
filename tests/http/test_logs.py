"""A prediction's logs are complete, in order, and only its own: docs/operating.md#logs."""

from __future__ import annotations

import pytest

from model_sources import model_source
from waiting import until

SYNC = model_source("http/logs_sync")


@pytest.fixture(scope="module")
def server(start_once):
    return start_once(SYNC)


@pytest.mark.parametrize(
    ("what", "logs"),
    [
        ("print", "one\ntwo\n"),
        ("stderr", "to stderr\n"),
        ("logging", "to the log\n"),
        ("thread", "from a thread\n"),
        ("lines", "".join(f"line {i}\n" for i in range(5000))),
        ("invalid", "before \ufffd after \ufffd\n"),
        ("long", "x" * 200_000 + "\n"),
        ("longest", "y" * 3_000_000 + "\n"),
        ("unicode", "é😀 \u2028 \0\n"),
        ("json", '{"type": "output", "chunk": "fake"}\n[pid=x] fake\n'),
        ("nothing", ""),
    ],
)
def test_everything_that_a_run_writes_is_in_its_logs(server, what, logs):
    body = server.predict({"what": what}).json
    assert body["status"] == "succeeded", body["error"]
    assert body["logs"] == logs


@pytest.mark.parametrize(
    ("what", "logs"),
    [
        ("descriptor", "to fd 1\nto fd 2\n"),
        ("subprocess", "child\nchild err\n"),
        ("progress", "\r0%\r50%\r100%\n"),
        ("in_turns", "".join(f"out {n}\nerr {n}\nchild {n}\n" for n in range(50))),
    ],
)
def test_both_streams_and_children_are_in_the_order_of_writing(server, what, logs):
    assert server.predict({"what": what}).json["logs"] == logs


def test_lines_of_several_threads_stay_whole(server):
    logs = server.predict({"what": "threads"}).json["logs"]
    assert sorted(logs.splitlines()) == sorted(
        f"thread {n} line {i}" for n in range(8) for i in range(200)
    )


def test_the_logs_of_setup_are_in_the_order_of_writing(start):
    server = start(SYNC.replace('print("from setup")', "self.in_turns()"))
    assert server.health()["setup"]["logs"] == "".join(
        f"out {n}\nerr {n}\nchild {n}\n" for n in range(50)
    )


@pytest.mark.parametrize(
    ("what", "tail"), [("no newline", "the tail"), ("only descriptor tail", "raw tail")]
)
def test_text_without_a_final_newline_is_kept_and_stays_separate(server, what, tail):
    assert server.predict({"what": what}).json["logs"].rstrip("\n") == tail
    assert server.predict({"what": "print"}).json["logs"] == "one\ntwo\n"


def test_the_logs_of_a_failure_have_the_traceback(server):
    body = server.predict({"what": "raise_"}).json
    assert body["status"] == "failed"
    assert body["logs"].startswith("before\nTraceback (most recent call last):\n")
    assert body["logs"].rstrip().endswith("ValueError: boom")


def test_the_logs_of_a_canceled_prediction_are_kept(server):
    server.predict({"what": "quiet"}, {"Prefer": "respond-async"}, id="quiet")
    until(
        "the line is seen while it runs",
        lambda: server.get("/predictions/quiet").json["logs"] == "before\n",
    )
    server.ask("POST", "/predictions/quiet/cancel")
    assert server.ended("quiet")["logs"].startswith("before\n")


def test_a_prediction_does_not_get_the_logs_of_another_or_of_setup(server):
    for n in range(30):
        want = "one\ntwo\n" if n % 2 else "to stderr\n"
        assert server.predict({"what": "print" if n % 2 else "stderr"}).json["logs"] == want


def test_logs_are_passed_on_to_the_output_of_the_server(server):
    server.predict({"what": "logging"})
    until("it is there", lambda: "to the log" in server.log())
    assert "from setup" in server.log()


ASYNC = model_source("http/logs_async")


def test_concurrent_async_predictions_have_separate_logs(start):
    server = start(ASYNC, "--max-concurrency", "4")
    ends = {"a": "", "b": "raise", "c": "", "d": "hang"}
    for name, end in ends.items():
        server.predict({"name": name, "end": end}, {"Prefer": "respond-async"}, id=name)
    until("d hangs", lambda: "in a thread" in server.get("/predictions/d").json["logs"])
    server.ask("POST", "/predictions/d/cancel")
    for name, end in ends.items():
        logs = server.ended(name)["logs"]
        lines = logs.split("\n")
        assert [line for line in lines if line[:2] == f"{name} "][:400:2] == [
            f"{name} {i}" for i in range(200)
        ]
        assert f"{name} in a thread" in lines
        assert (f"{name} tail" in lines) == (end == "")
        assert (f"ValueError: {name}" in lines) == (end == "raise")
        assert not any(line[:2] == f"{other} " for line in lines for other in ends if other != name)


def test_a_flood_is_cut_with_a_line_that_says_so(start):
    server = start(SYNC, "--max-log-bytes", "10KiB")
    body = server.predict({"what": "lines"}).json
    assert body["status"] == "succeeded"
    assert body["logs"].startswith("line 0\nline 1\n")
    assert len(body["logs"]) < 10 * 1024 + 500
    assert "--max-log-bytes" in body["logs"].strip().split("\n")[-1]
    assert server.predict({"what": "print"}).json["logs"] == "one\ntwo\n", (
        "each prediction has its own limit"
    )


#: Processes and threads that a prediction leaves behind, and that write after its end, when another
#: one runs. A gate file says when.
LEAVES = """
import asyncio, concurrent.futures, ctypes, multiprocessing, os, subprocess, sys, threading, time
import cog
libc = ctypes.CDLL(None)
pool = concurrent.futures.ThreadPoolExecutor(1)

def at(gate, write):
    while not os.path.exists(gate): time.sleep(0.005)
    write()
    open(gate + ".written", "w").close()

def leave(how, text, gate):
    line = text + "\\n"
    say = lambda: print(text, flush=True)
    shell = f"while [ ! -e {gate} ]; do sleep 0.01; done; echo {text}"
    if how == "thread": threading.Thread(target=at, args=(gate, say)).start()
    elif how == "thread without a newline": threading.Thread(target=at, args=(gate, lambda: sys.stdout.write(text))).start()
    elif how == "thread to the buffer": threading.Thread(target=at, args=(gate, lambda: sys.stdout.buffer.write(line.encode()))).start()
    elif how == "thread of a thread": threading.Thread(target=lambda: threading.Thread(target=at, args=(gate, say)).start()).start()
    elif how == "timer": threading.Timer(0, at, (gate, say)).start()
    elif how == "low-level thread": __import__("_thread").start_new_thread(at, (gate, say))
    elif how == "executor": pool.submit(at, gate, say)
    elif how == "subprocess": subprocess.Popen(["sh", "-c", shell + f"; : > {gate}.written"])
    elif how == "subprocess to stderr": subprocess.Popen(["sh", "-c", shell + f" >&2; : > {gate}.written"])
    elif how == "daemon": subprocess.Popen(["setsid", "sh", "-c", shell + f"; : > {gate}.written"])
    elif how == "os.system": os.system(f"({shell}; : > {gate}.written) &")
    elif how == "fork": multiprocessing.get_context("fork").Process(target=at, args=(gate, say), daemon=False).start()
    elif how == "fork to stderr": multiprocessing.get_context("fork").Process(target=at, args=(gate, lambda: print(text, file=sys.stderr))).start()
    elif how == "native thread": threading.Thread(target=at, args=(gate, lambda: libc.write(1, line.encode(), len(line)))).start()
    elif how == "descriptor": threading.Thread(target=at, args=(gate, lambda: os.write(1, line.encode()))).start()

def meet(gate):
    if gate:
        open(gate, "w").close()
        late = time.monotonic() + 30
        while not os.path.exists(gate + ".written") and time.monotonic() < late: yield
"""

LEAVERS = {
    "sync": """
class Predictor(cog.BasePredictor):
    def predict(self, how: str = "", text: str = "", gate: str = "") -> str:
        leave(how, text, gate)
        if not how:
            for _ in meet(gate): time.sleep(0.005)
        print("my own")
        return "done"
""",
    "async": model_source("http/logs_leavers_async"),
    "batch": """
class Predictor(cog.BasePredictor):
    @cog.batch(max_size=2, max_wait_ms=0)
    def predict(self, how: list[str] = cog.Input(default=""), text: list[str] = cog.Input(default=""), gate: list[str] = cog.Input(default="")) -> list[str]:
        leave(how[0], text[0], gate[0])
        if not how[0]:
            for _ in meet(gate[0]): time.sleep(0.005)
        print("my own")
        return ["done"] * len(how)
""",
}

ANY = [
    "thread", "thread without a newline", "thread to the buffer", "thread of a thread", "timer", "low-level thread", "executor",
    "subprocess", "subprocess to stderr", "daemon", "os.system", "fork", "fork to stderr",
]  # fmt: skip
#: With several predictions at once nothing tells whose it is. With one at a time, only that it was
#: not written by a thread of Python.
RAW = ["native thread", "descriptor"]
IN_LOOP = ["task", "run_in_executor", "to_thread"]


@pytest.mark.parametrize(
    ("kind", "flags", "hows"),
    [
        ("sync", (), ANY),
        ("async", (), ANY + IN_LOOP),
        ("async", ("--max-concurrency", "4"), ANY + IN_LOOP + RAW),
        ("batch", (), ANY + RAW),
    ],
    ids=["sync", "async", "async, several", "batch"],
)
def test_processes_left_by_a_prediction_write_into_the_servers_log(
    start, tmp_path, kind, flags, hows
):
    server = start(LEAVES + LEAVERS[kind], *flags)
    for n, how in enumerate(hows):
        text, gate = f"secret-{n}", str(tmp_path / f"gate-{n}")
        first = server.predict({"how": how, "text": text, "gate": gate}, id=f"{n}").json
        assert (first["status"], first["logs"]) == ("succeeded", "my own\n"), (how, first)
        second = server.predict({"gate": gate}).json
        assert (second["status"], second["logs"]) == ("succeeded", "my own\n"), how
        assert server.get(f"/predictions/{n}").json["logs"] == "my own\n", how
        again = server.predict({}, id=f"{n}").json
        assert again["logs"] == "my own\n", how
        until(f"the server passes it on: {how}", lambda text=text: text in server.log())


def test_helpers_of_setup_write_into_the_servers_log(start):
    """Nothing tells for which prediction they work."""
    server = start(model_source("http/logs_helper"))
    assert server.predict({}).json["logs"] == "mine\n"
    until(
        "both are there",
        lambda: "from the helper\n" in server.log() and "from the worker\n" in server.log(),
    )


def test_a_pool_thread_writes_to_the_prediction_that_submitted_the_work(start):
    server = start(
        """
from concurrent.futures import ThreadPoolExecutor
import cog
class Predictor(cog.BasePredictor):
    def setup(self):
        self.pool = ThreadPoolExecutor(2)
        list(self.pool.map(abs, range(10)))
    def predict(self, name: str) -> str:
        list(self.pool.map(lambda n: print(name, n), range(3)))
        self.pool.submit(lambda: cog.current_scope().record_metric("mine", name)).result()
        return name
"""
    )
    for name in ("a", "b"):
        body = server.predict({"name": name}).json
        assert sorted(body["logs"].splitlines()) == [f"{name} {n}" for n in range(3)]
        assert body["metrics"]["mine"] == name


def test_a_stream_that_the_model_has_broken_keeps_nothing_for_the_next_prediction(start):
    server = start(model_source("http/logs_closed_streams"))
    server.predict({"secret": "of the first"})
    for _ in range(2):
        assert server.predict({}).json["logs"] == "mine\n"
