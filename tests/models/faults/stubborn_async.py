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


async def swallow_on():
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            print("no", flush=True)


class Predictor(BasePredictor):
    async def predict(self, action: str = "") -> str:
        if action == "swallow":
            print("begun", flush=True)
            await swallow_on()
        if action == "swallow and return":
            print("begun", flush=True)
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                return "after all"
        if action == "raise in finally":
            print("begun", flush=True)
            try:
                await asyncio.sleep(60)
            finally:
                raise ValueError("in finally")
        if action == "block the loop":
            print("begun", flush=True)
            time.sleep(60)
        if action == "never awaited":
            self.task = asyncio.ensure_future(asyncio.sleep(60))
            asyncio.sleep(1)
            return "done"
        if action == "task that fails":

            async def fail():
                raise ValueError("nobody looks")

            self.task = asyncio.ensure_future(fail())
            await asyncio.sleep(0)
            return "done"
        if action == "cancel all tasks":
            for task in asyncio.all_tasks():
                task.cancel()
            await asyncio.sleep(60)
        if action == "cancel itself":
            asyncio.current_task().cancel()
            await asyncio.sleep(60)
        if action == "stop the loop":
            asyncio.get_running_loop().stop()
            await asyncio.sleep(0.01)
            return "done"
        if action == "close the loop":
            asyncio.get_running_loop().close()
        if action == "no loop":
            asyncio.set_event_loop(None)
            return "done"
        if action == "exit in a task":

            async def leave():
                raise SystemExit(3)

            asyncio.ensure_future(leave())
            await asyncio.sleep(0.01)
            return "done"
        if action == "debug":
            asyncio.get_running_loop().set_debug(True)
            return "done"
        if action == "many tasks":
            self.tasks = [asyncio.ensure_future(asyncio.sleep(60)) for _ in range(1_000)]
            return "done"
        return act(action)
