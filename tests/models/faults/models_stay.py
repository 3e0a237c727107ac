import asyncio, ctypes, os, resource, signal, subprocess, time
from typing import AsyncIterator
from cog import BasePredictor


def too_much():
    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
    return b"x" * (4 << 30)


def daemon():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(600)
        os._exit(0)
    os.wait()


def brief():
    if os.fork() == 0:
        if os.fork() == 0:
            time.sleep(0.1)
        os._exit(0)
    os.wait()


ACTIONS = {
    "kill": lambda: os.kill(os.getpid(), 9),
    "term": lambda: os.kill(os.getpid(), 15),
    "segfault": lambda: ctypes.string_at(0),
    "abort": os.abort,
    "overflow": lambda: ctypes.CDLL(None).regcomp(
        ctypes.create_string_buffer(256), b"(" * 5_000_000, 1
    ),
    "exit": lambda: os._exit(7),
    "exit 0": lambda: os._exit(0),
    "memory": too_much,
    "descriptors": lambda: os.closerange(3, 1024),
    "child": lambda: subprocess.Popen(["sleep", "600"]),
    "session": lambda: subprocess.Popen(["sleep", "600"], start_new_session=True, env={}),
    "silent": lambda: subprocess.Popen(
        ["sleep", "600"], start_new_session=True, stdout=-3, stderr=-3
    ),
    "daemon": daemon,
    "brief": brief,
    "pause": lambda: time.sleep(0.5),
    "stubborn": lambda: signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals)),
}


class Predictor(BasePredictor):
    def setup(self):
        if os.environ.get("IN_SETUP"):
            ACTIONS[os.environ["IN_SETUP"]]()

    async def predict(
        self, action: str = "", gate: str = "", s: float = 0, n: int = 0
    ) -> AsyncIterator[str]:
        print("line", n, flush=True)
        yield f"part {n}"
        for one in filter(ACTIONS.get, action.split(",")):
            ACTIONS[one]()
        while action == "stay":
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                pass
        end = time.monotonic() + s
        while gate and not os.path.exists(gate) or time.monotonic() < end:
            time.sleep(0.001)
