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
        try:
            signal.signal(number, lambda *_: None)
        except (OSError, ValueError):
            pass


def sleep_on():
    while True:
        try:
            time.sleep(60)
        except BaseException:
            pass


def act(action):
    print("begun", flush=True)
    if action == "swallow":
        sleep_on()
    if action == "hold the gil":
        hold_the_gil(60)
    if action == "hold the gil for ten seconds":
        hold_the_gil(10)
    if action == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    if action == "stop the group":
        os.killpg(0, signal.SIGSTOP)
    if action == "every signal":
        handle_every_signal()
        time.sleep(60)
    if action == "block signals":
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        sleep_on()
    if action == "deadlock":
        lock = threading.Lock()
        lock.acquire()
        lock.acquire()
    if action == "raise in finally":
        try:
            time.sleep(60)
        finally:
            raise ValueError("in finally")
    if action == "wait in finally":
        try:
            time.sleep(60)
        finally:
            time.sleep(60)
    return "done"


class Predictor(BasePredictor):
    def predict(self, action: str = "") -> str:
        return act(action)
