"""Models that break functions which the runner needs. Each must get its answer, and so must the
next prediction.
"""

import asyncio
import builtins
import gc
import io
import json
import logging
import os
import signal
import sys
import threading
import time
import types
from typing import Any

_late: list[threading.Thread] = []


def _broken(*_: Any, **__: Any) -> Any:
    raise RuntimeError("replaced by the model")


def _break(module: types.ModuleType, *names: str) -> None:
    for name in names:
        setattr(module, name, _broken)


def _clear() -> None:
    os.environ.clear()


def _time_goes_back() -> None:
    time.time = lambda: 0.0
    time.perf_counter = lambda: 0.0


def _handle_every_signal() -> None:
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        try:
            signal.signal(number, lambda *_: None)
        except (OSError, ValueError):
            continue


def _fork() -> None:
    """Start a child that runs for a while and keeps the pipes open."""
    if os.fork() == 0:
        time.sleep(2)
        os._exit(0)


def _fork_and_exit() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(7)
    os.waitpid(pid, 0)


def _print_later() -> None:
    def go_on() -> None:
        for _ in range(50):
            print("late")
            time.sleep(0.01)

    thread = threading.Thread(target=go_on, daemon=True)
    thread.start()
    _late.append(thread)


def _raise_in_thread() -> None:
    thread = threading.Thread(target=_broken)
    thread.start()
    thread.join()


def _close_streams() -> None:
    sys.stdout.close()
    sys.stderr.close()


def _close_descriptors() -> None:
    os.close(1)
    os.close(2)


ACTIONS = {
    "chdir": lambda: os.chdir("/"),
    "environ": _clear,
    "umask": lambda: os.umask(0o777),
    "json": lambda: _break(json, "dumps", "loads", "JSONEncoder", "JSONDecoder"),
    "os": lambda: _break(
        os, "open", "rename", "write", "read", "close", "listdir", "kill", "unlink", "access"
    ),
    "os.path": lambda: _break(os.path, "join", "exists", "realpath", "basename"),
    "open": lambda: _break(builtins, "open", "print"),
    "time": _time_goes_back,
    "signal": lambda: _break(signal, "signal"),
    "streams gone": lambda: setattr(sys, "stdout", None) or setattr(sys, "stderr", None),
    "streams replaced": lambda: setattr(sys, "stdout", io.StringIO()),
    "streams closed": _close_streams,
    "descriptors closed": _close_descriptors,
    "every signal": _handle_every_signal,
    "blocked": lambda: signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1]),
    "ignored": lambda: signal.signal(signal.SIGUSR1, signal.SIG_IGN),
    "long line": lambda: sys.stdout.write("x" * 300_000 + "\n"),
    "50 MB": lambda: [sys.stdout.write("y" * 999 + "\n") for _ in range(50_000)],
    "native text": lambda: os.write(2, b"\xff\xfe\n"),
    "fork": _fork,
    "fork and exit": _fork_and_exit,
    "late": _print_later,
    "thread": _raise_in_thread,
    "stdin": lambda: sys.stdin.read(),
    "recursion limit": lambda: sys.setrecursionlimit(150),
    "gc": lambda: (gc.disable(), gc.freeze()),
    "modules": lambda: [
        sys.modules.pop(name) for name in ("json", "traceback", "logging") if name in sys.modules
    ],
    "logging": lambda: logging.disable(),
    "excepthook": lambda: setattr(sys, "excepthook", _broken),
    "exits in a thread": lambda: threading.Thread(target=sys.exit).start(),
    "int digits": lambda: getattr(sys, "set_int_max_str_digits", int)(640),
}


def misbehaves(action: str) -> str:
    if action:
        ACTIONS[action]()
    return "done"


async def async_misbehaves(action: str) -> str:
    await asyncio.sleep(0)
    if action:
        ACTIONS[action]()
    return "done"


async def exits_in_a_task(action: str) -> str:
    if action:
        await asyncio.get_running_loop().create_task(exiting())
    return "done"


async def exiting() -> None:
    sys.exit(3)


def cancelable(action: str, seconds: float) -> str:
    if action:
        ACTIONS[action]()
    print("sleeping", flush=True)
    time.sleep(seconds)
    return "slept"
