"""Models that write."""

import asyncio
import contextvars
import logging
import os
import subprocess
import sys
import threading

logging.basicConfig(level=logging.INFO, format="%(message)s")


def writes(text: str) -> str:
    print(text)
    print("to stderr", file=sys.stderr)
    logging.info("to the log")
    os.write(1, b"to the descriptor\n")
    subprocess.run(["echo", "from a child"], check=True)
    print("no newline", end="")
    return text


async def async_writes(text: str) -> str:
    print(text)
    print("to stderr", file=sys.stderr)
    await asyncio.sleep(0)
    logging.info("to the log")
    sys.stdout.buffer.write(b"bytes ")
    sys.stdout.buffer.write("é\n".encode())
    sys.stdout.buffer.flush()
    sys.stdout.writelines(["a ", "b\n"])
    sys.stdout.flush()
    print("no newline", end="")
    return text


async def threads(text: str) -> str:
    """A thread belongs to the prediction with or without a copied context, but not with an empty
    one.
    """
    context = contextvars.copy_context()
    inside = threading.Thread(target=context.run, args=(print, text))
    plain = threading.Thread(target=print, args=(text, "as well"))
    outside = threading.Thread(target=contextvars.Context().run, args=(print, "nobody's"))
    for thread in (inside, plain, outside):
        thread.start()
        thread.join()
    await asyncio.to_thread(print, text, "too")
    return text


async def own_lines(text: str, count: int) -> str:
    for n in range(count):
        print(text, n)
        await asyncio.sleep(0)
    return text


async def many_lines(text: str, count: int) -> str:
    for n in range(count):
        print(text, n)
    return text


async def bar(text: str) -> str:
    for n in range(3):
        print(f"\r{text} {n}", end="", file=sys.stderr)
    return text


async def exact(text: str) -> str:
    """Prints text of every kind, and returns it for comparison."""
    print("a\ud800b\0é😀\u2028", end="")
    return text


async def waits(text: str) -> str:
    print(text, "before")
    await asyncio.sleep(20)
    return text


async def fails(text: str) -> str:
    print(text, end="")
    raise ValueError("after the text")


class Setup:
    async def setup(self) -> None:
        print("in setup")
        self.task = asyncio.get_running_loop().create_task(self.report())
        self.wake = asyncio.Event()

    async def report(self) -> None:
        await asyncio.sleep(0)
        await self.wake.wait()
        print("of the server's")

    async def predict(self, text: str) -> str:
        self.wake.set()
        await self.task
        print(text)
        return text


async def odd_calls(text: str) -> str:
    """Calls of libraries on a stream; each must work as on a real one."""
    stream = sys.stdout
    assert stream.fileno() == 1
    assert not stream.isatty()
    assert not stream.closed
    assert stream.writable()
    assert stream.encoding.lower() == "utf-8"
    assert stream.name == "<stdout>"
    assert stream.errors
    stream.reconfigure(line_buffering=False)
    for wrong in (b"bytes", 3, None):
        try:
            stream.write(wrong)
        except TypeError:
            continue
        raise AssertionError(wrong)
    assert stream.write(text) == len(text)
    stream.close()
    stream.write(text)
    stream.buffer.close()
    with open(os.dup(1), "w") as real:
        real.write("real\n")
    return text
