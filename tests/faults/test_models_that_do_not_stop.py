"""Models that do not heed a cancel: it ends within the grace all the same, and the next prediction
works.
"""

from __future__ import annotations

import pytest

from waiting import alive, until

MODEL = """
import asyncio, ctypes, os, signal, threading, time
from cog import BasePredictor

def hold_the_gil(seconds):
    lock = ctypes.create_string_buffer(64)
    c = ctypes.PyDLL(None)  # calls keep the interpreter lock
    c.pthread_mutex_lock(lock)
    end = time.time() + seconds
    c.pthread_mutex_timedlock(lock, (ctypes.c_long * 2)(int(end), int(end % 1 * 1e9)))

def handle_every_signal():
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        try: signal.signal(number, lambda *_: None)
        except (OSError, ValueError): pass

def sleep_on():
    while True:
        try: time.sleep(60)
        except BaseException: pass

def act(deed):
    print("begun", flush=True)
    if deed == "swallow": sleep_on()
    if deed == "hold the gil": hold_the_gil(60)
    if deed == "hold the gil for ten seconds": hold_the_gil(10)
    if deed == "stop": os.kill(os.getpid(), signal.SIGSTOP)
    if deed == "stop the group": os.killpg(0, signal.SIGSTOP)
    if deed == "every signal": handle_every_signal(); time.sleep(60)
    if deed == "block signals": signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals()); sleep_on()
    if deed == "deadlock": lock = threading.Lock(); lock.acquire(); lock.acquire()
    if deed == "raise in finally":
        try: time.sleep(60)
        finally: raise ValueError("in finally")
    if deed == "wait in finally":
        try: time.sleep(60)
        finally: time.sleep(60)
    return "done"
"""

SYNC = (
    MODEL
    + """
class Predictor(BasePredictor):
    def predict(self, deed: str = "") -> str:
        return act(deed)
"""
)

ASYNC = (
    MODEL
    + """
async def swallow_on():
    while True:
        try: await asyncio.sleep(60)
        except asyncio.CancelledError: print("no", flush=True)

class Predictor(BasePredictor):
    async def predict(self, deed: str = "") -> str:
        if deed == "swallow":
            print("begun", flush=True)
            await swallow_on()
        if deed == "swallow and return":
            print("begun", flush=True)
            try: await asyncio.sleep(60)
            except asyncio.CancelledError: return "after all"
        if deed == "raise in finally":
            print("begun", flush=True)
            try: await asyncio.sleep(60)
            finally: raise ValueError("in finally")
        if deed == "block the loop":
            print("begun", flush=True)
            time.sleep(60)
        if deed == "never awaited":
            self.task = asyncio.ensure_future(asyncio.sleep(60))
            asyncio.sleep(1)
            return "done"
        if deed == "task that fails":
            async def fail(): raise ValueError("nobody looks")
            self.task = asyncio.ensure_future(fail())
            await asyncio.sleep(0)
            return "done"
        if deed == "cancel all tasks":
            for task in asyncio.all_tasks(): task.cancel()
            await asyncio.sleep(60)
        if deed == "cancel itself":
            asyncio.current_task().cancel()
            await asyncio.sleep(60)
        if deed == "stop the loop":
            asyncio.get_running_loop().stop()
            await asyncio.sleep(0.01)
            return "done"
        if deed == "close the loop":
            asyncio.get_running_loop().close()
        if deed == "no loop":
            asyncio.set_event_loop(None)
            return "done"
        if deed == "exit in a task":
            async def leave(): raise SystemExit(3)
            asyncio.ensure_future(leave())
            await asyncio.sleep(0.01)
            return "done"
        if deed == "debug":
            asyncio.get_running_loop().set_debug(True)
            return "done"
        if deed == "many tasks":
            self.tasks = [asyncio.ensure_future(asyncio.sleep(60)) for _ in range(1_000)]
            return "done"
        return act(deed)
"""
)

GRACE = ["--cancel-grace", "300ms", "--max-restarts", "100"]


@pytest.fixture(scope="module")
def sync_server(start_once):
    return start_once(SYNC, *GRACE)


@pytest.fixture(scope="module")
def async_server(start_once):
    return start_once(ASYNC, *GRACE)


def works(server):
    server.wait_status("READY")
    assert server.predict({"deed": ""}).json["output"] == "done"


def cancel(server, deed):
    """Cancel a prediction once its code runs; its end, and the process that ran it."""
    server.wait_status("READY")
    runner = server.runner()
    id = server.predict({"deed": deed}, {"Prefer": "respond-async"}).json["id"]
    until("it has begun", lambda: "begun" in server.get(f"/predictions/{id}").json["logs"])
    assert server.ask("POST", f"/predictions/{id}/cancel").status == 200
    server.ask("POST", f"/predictions/{id}/cancel")  # once more does no harm
    return server.ended(id), runner


STUBBORN = ["swallow", "hold the gil", "stop", "stop the group", "block signals", "wait in finally"]


@pytest.mark.parametrize("deed", STUBBORN)
def test_a_sync_model_that_goes_on_is_replaced(sync_server, deed):
    end, runner = cancel(sync_server, deed)
    assert (end["status"], end["error"], end["logs"][:6]) == ("canceled", None, "begun\n")
    until("its process is gone", lambda: not alive(runner))
    works(sync_server)


@pytest.mark.parametrize("deed", ["every signal", "deadlock", "raise in finally"])
def test_a_sync_model_that_can_be_reached_is_canceled(sync_server, deed):
    end, _ = cancel(sync_server, deed)
    assert (end["status"], end["error"]) == ("canceled", None)
    works(sync_server)


@pytest.mark.parametrize("deed", ["swallow", "block the loop", "hold the gil", "stop", "deadlock"])
def test_an_async_model_that_goes_on_is_replaced(async_server, deed):
    end, runner = cancel(async_server, deed)
    assert (end["status"], end["error"], end["logs"][:6]) == ("canceled", None, "begun\n")
    until("its process is gone", lambda: not alive(runner))
    works(async_server)


@pytest.mark.parametrize("deed", ["swallow and return", "raise in finally"])
def test_an_async_model_that_ends_in_its_own_way_is_canceled(async_server, deed):
    end, runner = cancel(async_server, deed)
    assert (end["status"], end["output"], end["error"]) == ("canceled", None, None)
    works(async_server)
    assert async_server.runner() == runner


BENIGN = [
    "never awaited",
    "task that fails",
    "stop the loop",
    "no loop",
    "exit in a task",
    "debug",
    "many tasks",
]


@pytest.mark.parametrize("deed", BENIGN)
def test_what_an_async_model_does_to_its_loop_is_survived(async_server, deed):
    async_server.wait_status("READY")
    runner = async_server.runner()
    answer = async_server.predict({"deed": deed}).json
    assert (answer["status"], answer["output"]) == ("succeeded", "done"), answer
    works(async_server)
    assert async_server.runner() == runner


@pytest.mark.parametrize("deed", ["cancel all tasks", "cancel itself", "close the loop"])
def test_what_an_async_model_does_to_its_tasks_fails_it_alone(async_server, deed):
    async_server.wait_status("READY")
    runner = async_server.runner()
    answer = async_server.predict({"deed": deed}).json
    assert answer["status"] == "failed" and answer["error"], answer
    works(async_server)
    assert async_server.runner() == runner


@pytest.mark.parametrize("source", [SYNC, ASYNC], ids=["sync", "async"])
def test_the_server_answers_while_a_model_holds_the_interpreter(start, source):
    server = start(source)
    id = server.predict({"deed": "hold the gil for ten seconds"}, {"Prefer": "respond-async"}).json[
        "id"
    ]
    until("it has begun", lambda: "begun" in server.get(f"/predictions/{id}").json["logs"])
    assert server.health()["status"] == "BUSY"
    assert server.predict({"deed": ""}).status == 409
    assert server.get("/metrics").status == 200
    assert server.ended(id)["output"] == "done"
    works(server)


@pytest.mark.parametrize("deed", ["hold the gil", "stop", "swallow", "block signals"])
def test_a_stubborn_model_does_not_hold_the_shutdown(start, deed):
    server = start(SYNC, *GRACE, "--runner-shutdown-grace-period", "100ms")
    runner = server.runner()
    id = server.predict({"deed": deed}, {"Prefer": "respond-async"}).json["id"]
    until("it has begun", lambda: "begun" in server.get(f"/predictions/{id}").json["logs"])
    server.ask("POST", "/shutdown")
    assert server.process.wait(30) == 0
    assert not alive(runner)


def test_text_and_metrics_of_a_thread_that_outlives_its_prediction_are_nobody_elses(start):
    """Also the spool stays clean: an event after the end would be the next prediction's of the same
    id.
    """
    source = """
import asyncio, contextvars, threading, time
from cog import BasePredictor, current_scope
threads = []
class Predictor(BasePredictor):
    %s predict(self, late: bool = False) -> str:
        def go_on():
            time.sleep(0.2)
            for i in range(20):
                print("late")
                current_scope().record_metric("late", i)
                time.sleep(0.01)
        if late:
            context = contextvars.copy_context()
            threads.append(threading.Thread(target=context.run, args=[go_on]))
            threads[-1].start()
        else:
            while threads: threads.pop().join()
        return "done"
"""
    for kind in ("def", "async def"):
        server = start(source % kind)
        assert (
            server.ask("PUT", "/predictions/same", {"input": {"late": True}}).json["output"]
            == "done"
        )
        again = server.ask("PUT", "/predictions/same", {"input": {}}).json
        assert "late" not in again["metrics"] and again["output"] == "done"
        if kind == "async def":
            assert again["logs"] == ""
        assert [p.name for p in server.spool().glob("events-*")] == []
