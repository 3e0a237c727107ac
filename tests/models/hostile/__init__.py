"""Models that misuse everything they can reach. Each action has one answer, and the next prediction
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
import sys
import tempfile
import time
from typing import Any, Callable, Dict

from cog import BasePredictor, Path

from .processes import (
    block_signals,
    cd_to_nowhere,
    child_exits,
    child_holds_stdout,
    child_in_a_session_of_its_own,
    child_returns,
    flood_without_newline,
    handle_every_signal,
    many_threads,
    native_flood,
    odd_bytes,
    spool,
    thread_that_prints_on,
)
from .replacing import (
    break_all,
    break_names,
    empty_temporary_directory,
    put,
    restore,
)
from .values import (
    ClassLies,
    DictThatRaises,
    Nameless,
    OddExit,
    Own,
    ReadLies,
    ReadRaises,
    StrExits,
    StrIsHuge,
    StrIsNoText,
    StrRaises,
    Text,
    cause_of_itself,
    deep_dict,
    deep_list,
    fifo,
    file_that_went,
    generator_that_raises,
    good_link,
    itself,
    link_to,
    long_chain,
    loop_of_links,
    raise_it,
    record_nonsense,
    recurse,
)


#: Actions that succeed: the output is "done", or the value of the action.
BENIGN: Dict[str, Callable[[], Any]] = {
    "every signal": handle_every_signal,
    "block signals": block_signals,
    "chdir": lambda: os.chdir("/"),
    "chdir to nowhere": cd_to_nowhere,
    "empty the temporary directory": empty_temporary_directory,
    "environ": lambda: os.environ.clear(),
    "umask": lambda: os.umask(0o777),
    "json": lambda: break_all(json),
    "json classes": lambda: break_names(json, "JSONEncoder", "JSONDecoder"),
    "os": lambda: break_all(os),
    "os.path": lambda: break_all(os.path),
    "time": lambda: break_names(
        time, "time", "perf_counter", "gmtime", "sleep", "time_ns", "clock_gettime_ns"
    ),
    "time stands still": lambda: put(time, "time", lambda: 0.0),
    "builtins": lambda: break_names(
        builtins, "len", "isinstance", "str", "dict", "type", "getattr", "hasattr", "__import__"
    ),
    "open and print": lambda: break_names(builtins, "open", "print"),
    "signal": lambda: break_all(signal),
    "shutil and tempfile": lambda: (break_all(shutil), break_all(tempfile)),
    "stdin closed": lambda: sys.stdin.close(),
    "stdin read": lambda: sys.stdin.read() and None,
    "streams closed": lambda: (sys.stdout.close(), sys.stderr.close()) and None,
    "streams gone": lambda: setattr(sys, "stdout", None) or setattr(sys, "stderr", None),
    "streams replaced": lambda: put(sys, "stdout", io.StringIO()),
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
    "path": lambda: put(sys, "path", []),
    "random": lambda: break_all(random),
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

#: Actions that fail, with words of the error.
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

#: Actions that end the process, with words of the error. The server starts another process.
DEADLY: Dict[str, Any] = {
    "_exit 0": (lambda: os._exit(0), "exit status 0"),
    "group": (lambda: os.killpg(0, signal.SIGKILL), "signal 9"),
    "segfault": (lambda: ctypes.string_at(0), "signal 11"),
    "working directory": (
        lambda: shutil.rmtree(spool()),
        "could not be written to the working directory",
    ),
}


#: Outputs as large as a model can make by mistake.
LARGE: Dict[str, Callable[[], Any]] = {
    "100 MB text": lambda: "t" * 100_000_000,
    "million items": lambda: list(range(1_000_000)),
}


def act(action: str) -> Any:
    if action == "restore":
        value = restore()
    elif action == "print":
        print("printed", file=sys.stdout)
        print("printed too", file=sys.stderr)
        value = None
    elif action in BENIGN:
        value = BENIGN[action]()
    elif action in FAILING:
        value = FAILING[action][0]()
    elif action in LARGE:
        value = LARGE[action]()
    elif action in DEADLY:
        value = DEADLY[action][0]()
    else:
        value = None
    return "done" if value is None else value


class Predictor(BasePredictor):
    def predict(self, action: str = "") -> Any:
        return act(action)


class AsyncPredictor(BasePredictor):
    async def predict(self, action: str = "") -> Any:
        await asyncio.sleep(0)
        return act(action)
