"""Models that misuse everything they can reach. Each deed has one answer, and the next prediction
works.
"""

import asyncio
import builtins
import ctypes
import io
import json
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import types
from typing import Any, Callable, Dict, Iterator, List, Tuple

from cog import BasePredictor, Path, current_scope


def _broken(*_: Any, **__: Any) -> Any:
    raise RuntimeError("replaced by the model")


_originals: List[Tuple[Any, str, Any]] = []
_environment = dict(os.environ)
_streams = sys.stdout, sys.stderr
_setattr = setattr


def _put(module: Any, name: str, value: Any) -> None:
    _originals.append((module, name, getattr(module, name)))
    setattr(module, name, value)


def _break(module: types.ModuleType, *names: str) -> None:
    for name in names:
        _originals.append((module, name, vars(module)[name]))
    for name in names:
        _setattr(module, name, _broken)


def restore() -> None:
    """Put back what was replaced, so that the next deed finds what it needs."""
    while _originals:
        _setattr(*_originals.pop())
    sys.setrecursionlimit(1000)
    sys.settrace(None)
    sys.setprofile(None)
    os.umask(0o077)
    os.environ.update(_environment)
    empty_temporary_directory()


def _break_all(module: types.ModuleType) -> None:
    """Replace every function of a module."""
    _break(
        module,
        *(
            n
            for n, v in vars(module).items()
            if callable(v) and not isinstance(v, type) and n[:2] != "__"
        ),
    )


def spool() -> str:
    """The directory that is shared with the server."""
    with open("/proc/self/cmdline") as f:
        words = f.read().split("\0")
    return words[words.index("--working-dir") + 1]


# -- the process and what is around it


def stop_myself() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def hold_the_gil(seconds: float = 10) -> None:
    """In C, where neither a signal nor another thread gets a turn."""
    lock = ctypes.create_string_buffer(64)  # a pthread_mutex_t of zeros is an unlocked one
    c = ctypes.PyDLL(None)  # keeps the interpreter lock during calls
    c.pthread_mutex_lock(lock)
    now = time.time() + seconds
    until = (ctypes.c_long * 2)(int(now), int(now % 1 * 1e9))
    c.pthread_mutex_timedlock(lock, until)


def handle_every_signal() -> None:
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        try:
            signal.signal(number, lambda *_: None)
        except (OSError, ValueError):
            continue


def block_signals() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())


def empty_temporary_directory() -> None:
    directory = tempfile.gettempdir()
    assert os.environ["TMPDIR"] == directory and len(directory) > 10
    for name in os.listdir(directory):
        path = os.path.join(directory, name)
        if os.path.isdir(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)


def cd_to_nowhere() -> None:
    directory = tempfile.mkdtemp()
    os.chdir(directory)
    os.rmdir(directory)


def close_every_descriptor() -> None:
    os.closerange(0, 4096)


def child_returns() -> None:
    """A fork without an end: two processes come back from here."""
    if os.fork() == 0:
        raise ValueError("the child goes on")


def child_exits() -> None:
    if os.fork() == 0:
        sys.exit(0)


def child_holds_stdout() -> None:
    subprocess.Popen(["sleep", "3"])


def child_in_a_session_of_its_own() -> None:
    subprocess.Popen(["sleep", "3"], start_new_session=True)


def many_threads() -> None:
    for _ in range(50):
        threading.Thread(target=time.sleep, args=[0.2]).start()


def thread_that_prints_on() -> None:
    def go_on() -> None:
        for _ in range(100):
            print("late")
            time.sleep(0.01)

    threading.Thread(target=go_on, daemon=True).start()


# -- what is printed


def flood_without_newline() -> None:
    for _ in range(50):
        sys.stdout.write("f" * 1_000_000)


def native_flood() -> None:
    for _ in range(50):
        os.write(1, b"n" * 1_000_000)


def odd_bytes() -> None:
    os.write(1, b"\xff\xfe\xc3(\x00\x1b[31m\r\n")
    sys.stdout.buffer.write(b"\x80\x81 tail")
    sys.stdout.flush()
    print("\udcff lone \ud800 \x00 nul")


# -- what is returned or raised


class StrRaises(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


class StrIsHuge(Exception):
    def __str__(self) -> str:
        return "h" * 100_000_000


class StrIsNoText(Exception):
    def __str__(self) -> Any:
        return 5


class StrExits(Exception):
    def __str__(self) -> str:
        sys.exit(1)


class ClassLies(Exception):
    @property
    def __class__(self) -> Any:
        raise RuntimeError("no class")

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError("no attribute")


class OddExit:
    def __repr__(self) -> str:
        raise RuntimeError("no text")


class Own(BaseException):
    pass


class Text(str):
    def __str__(self) -> str:
        raise RuntimeError("no text")


def raise_it(error: BaseException) -> Callable[[], None]:
    def go() -> None:
        raise error

    return go


def long_chain() -> None:
    """An exception that was raised while another was handled, five hundred times."""
    error: Any = None
    for i in range(500):
        try:
            raise ValueError(f"number {i}") from error
        except ValueError as e:
            error = e
    raise error


def cause_of_itself() -> None:
    error = ValueError("chases its tail")
    error.__cause__ = error
    raise error


def recurse() -> None:
    recurse()


def deep_list(depth: int = 100_000) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


def deep_dict() -> Any:
    value: Any = {}
    for _ in range(100_000):
        value = {"k": value}
    return value


def itself() -> Any:
    value: List[Any] = []
    value.append(value)
    return value


def fifo() -> Any:
    path = os.path.join(tempfile.mkdtemp(), "fifo")
    os.mkfifo(path)
    return Path(path)


def loop_of_links() -> Any:
    path = os.path.join(tempfile.mkdtemp(), "link")
    os.symlink(path, path)
    return Path(path)


def link_to(target: str) -> Any:
    path = os.path.join(tempfile.mkdtemp(), "link")
    os.symlink(target, path)
    return Path(path)


def file_that_went() -> Any:
    path = os.path.join(tempfile.mkdtemp(), "gone")
    open(path, "w").close()
    os.unlink(path)
    return Path(path)


def good_link() -> Any:
    directory = tempfile.mkdtemp()
    with open(os.path.join(directory, "file.txt"), "w") as f:
        f.write("linked")
    os.symlink("file.txt", os.path.join(directory, "link.txt"))
    return Path(os.path.join(directory, "link.txt"))


class ReadRaises:
    def read(self, n: int = -1) -> bytes:
        raise RuntimeError("no contents")

    def seek(self, at: int) -> None:
        pass


class ReadLies:
    def read(self, n: int = -1) -> Any:
        return 5

    def seek(self, at: int) -> None:
        pass


class Nameless(os.PathLike):
    def __fspath__(self) -> Any:
        return 5


class DictThatRaises(dict):
    def items(self) -> Any:
        raise RuntimeError("no items")


def generator_that_raises() -> Iterator[int]:
    yield 1
    raise ValueError("in the middle")


def record_nonsense() -> None:
    for name, value in [
        ("a..b", 1),
        ("predict_time", 1),
        ("x" * 500, 1),
        ("n", math.nan),
        ("o", object()),
    ]:
        try:
            current_scope().record_metric(name, value)
        except (ValueError, TypeError):
            continue


#: What succeeds: the output is "done", or what the deed returns.
BENIGN: Dict[str, Callable[[], Any]] = {
    "every signal": handle_every_signal,
    "block signals": block_signals,
    "chdir": lambda: os.chdir("/"),
    "chdir to nowhere": cd_to_nowhere,
    "empty the temporary directory": empty_temporary_directory,
    "environ": lambda: os.environ.clear(),
    "umask": lambda: os.umask(0o777),
    "json": lambda: _break_all(json),
    "json classes": lambda: _break(json, "JSONEncoder", "JSONDecoder"),
    "os": lambda: _break_all(os),
    "os.path": lambda: _break_all(os.path),
    "time": lambda: _break(
        time, "time", "perf_counter", "gmtime", "sleep", "time_ns", "clock_gettime_ns"
    ),
    "time stands still": lambda: _put(time, "time", lambda: 0.0),
    "builtins": lambda: _break(
        builtins, "len", "isinstance", "str", "dict", "type", "getattr", "hasattr", "__import__"
    ),
    "open and print": lambda: _break(builtins, "open", "print"),
    "signal": lambda: _break_all(signal),
    "shutil and tempfile": lambda: (_break_all(shutil), _break_all(tempfile)),
    "stdin closed": lambda: sys.stdin.close(),
    "stdin read": lambda: sys.stdin.read() and None,
    "streams closed": lambda: (sys.stdout.close(), sys.stderr.close()) and None,
    "streams gone": lambda: setattr(sys, "stdout", None) or setattr(sys, "stderr", None),
    "streams replaced": lambda: _put(sys, "stdout", io.StringIO()),
    "descriptors closed": lambda: (os.close(0), os.close(1), os.close(2)) and None,
    "child holds stdout": child_holds_stdout,
    "child in a session": child_in_a_session_of_its_own,
    "child returns": child_returns,
    "child exits": child_exits,
    "threads": many_threads,
    "thread prints on": thread_that_prints_on,
    "flood": flood_without_newline,
    "native flood": native_flood,
    "odd bytes": odd_bytes,
    "recursion limit": lambda: sys.setrecursionlimit(120),
    "modules": lambda: (
        [sys.modules.pop(n, None) for n in ("json", "traceback", "os", "time", "contextlib")]
        and None
    ),
    "trace": lambda: sys.settrace(lambda *_: None),
    "profile": lambda: sys.setprofile(lambda *_: None),
    "path": lambda: _put(sys, "path", []),
    "random": lambda: _break_all(random),
    "metrics": record_nonsense,
    "many keys": lambda: {str(i): i for i in range(100_000)},
    "nul": lambda: "a\x00b",
    "surrogate": lambda: "\ud800 alone",
    "big number": lambda: 10**4_000,
    "good link": good_link,
    "every descriptor but three": lambda: os.closerange(3, 4096),
    "text of a class": lambda: Text("plain"),
    "generator": lambda: (i for i in range(3)),
}

#: What fails: with these words in the error.
FAILING: Dict[str, Any] = {
    "str raises": (raise_it(StrRaises()), "StrRaises"),
    "str is huge": (raise_it(StrIsHuge()), "hhh"),
    "str is no text": (raise_it(StrIsNoText()), "StrIsNoText"),
    "str exits": (raise_it(StrExits()), "StrExits"),
    "class lies": (raise_it(ClassLies()), "ClassLies"),
    "BaseException": (raise_it(BaseException("base")), "base"),
    "own BaseException": (raise_it(Own("own")), "own"),
    "GeneratorExit": (raise_it(GeneratorExit()), "GeneratorExit"),
    "StopIteration": (raise_it(StopIteration("stop")), ""),
    "StopAsyncIteration": (raise_it(StopAsyncIteration("stop")), ""),
    "KeyboardInterrupt": (raise_it(KeyboardInterrupt()), "KeyboardInterrupt"),
    "CancelledError": (raise_it(asyncio.CancelledError("by itself")), "by itself"),
    "exit": (lambda: sys.exit(), "sys.exit(None)"),
    "exit 0": (lambda: sys.exit(0), "sys.exit(0)"),
    "exit with text": (lambda: sys.exit("bye"), "sys.exit('bye')"),
    "exit with an object": (lambda: sys.exit(OddExit()), "sys.exit"),
    "exit with a huge text": (lambda: sys.exit("x" * 10_000_000), "sys.exit"),
    "MemoryError": (lambda: bytearray(1 << 62), ""),
    "recursion": (recurse, "recursion"),
    "long chain": (long_chain, "number 499"),
    "cause of itself": (cause_of_itself, "chases its tail"),
    "deep list": (deep_list, "deep"),
    "deep dict": (deep_dict, "deep"),
    "itself": (itself, "itself"),
    "nan": (lambda: [math.nan], "NaN"),
    "object": (lambda: object(), "no form in JSON"),
    "fifo": (fifo, "not a regular file"),
    "device": (lambda: Path("/dev/zero"), "not a regular file"),
    "link to a device": (lambda: link_to("/dev/zero"), "not a regular file"),
    "directory": (lambda: Path("/"), "not a regular file"),
    "loop of links": (loop_of_links, "cannot be read"),
    "link to nowhere": (lambda: link_to("/nowhere/at/all"), "cannot be read"),
    "file that went": (file_that_went, "cannot be read"),
    "path with nul": (lambda: Path("/tmp/a\x00b"), "cannot be read"),
    "empty path": (lambda: Path(""), ""),
    "read raises": (lambda: ReadRaises(), "no contents"),
    "read lies": (lambda: ReadLies(), ""),
    "odd path": (lambda: Nameless(), ""),
    "dict raises": (lambda: DictThatRaises(a=object()), ""),
    "generator raises": (generator_that_raises, "in the middle"),
    "input()": (lambda: input(), "EOF"),
}

#: What ends the process: the prediction fails with these words, and a new process takes its place.
DEADLY: Dict[str, Any] = {
    "_exit 0": (lambda: os._exit(0), "exit status 0"),
    "group": (lambda: os.killpg(0, signal.SIGKILL), "signal 9"),
    "segfault": (lambda: ctypes.string_at(0), "signal 11"),
    "working directory": (
        lambda: shutil.rmtree(spool()),
        "could not be written to the working directory",
    ),
}


#: Outputs of the size that a model can reach by mistake.
LARGE: Dict[str, Callable[[], Any]] = {
    "100 MB text": lambda: "t" * 100_000_000,
    "million items": lambda: list(range(1_000_000)),
}


def act(deed: str) -> Any:
    if deed == "restore":
        value = restore()
    elif deed == "print":
        print("printed", file=sys.stdout)
        print("printed too", file=sys.stderr)
        value = None
    elif deed in BENIGN:
        value = BENIGN[deed]()
    elif deed in FAILING:
        value = FAILING[deed][0]()
    elif deed in LARGE:
        value = LARGE[deed]()
    elif deed in DEADLY:
        value = DEADLY[deed][0]()
    else:
        value = None
    return "done" if value is None else value


class Predictor(BasePredictor):
    def predict(self, deed: str = "") -> Any:
        return act(deed)


class AsyncPredictor(BasePredictor):
    async def predict(self, deed: str = "") -> Any:
        await asyncio.sleep(0)
        return act(deed)
