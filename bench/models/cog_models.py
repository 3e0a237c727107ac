"""The benchmark's models for all runtimes that serve Cog models. Each workload serves one of these
classes.
"""

import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator, Iterator

from cog import AsyncConcatenateIterator, BasePredictor, Path

try:
    from cog import streaming
except ImportError:  # cog 0.16 has no server-sent events

    def streaming(function):
        return function


class AsyncNoop(BasePredictor):
    async def setup(self) -> None:
        pass

    async def predict(self, name: str) -> str:
        return "hello " + name


class AsyncSleep(BasePredictor):
    async def setup(self) -> None:
        pass

    async def predict(self, name: str, seconds: float = 0.05) -> str:
        await asyncio.sleep(seconds)
        return "hello " + name


class Sleep(BasePredictor):
    def predict(self, seconds: float) -> str:
        time.sleep(seconds)
        return "slept"


class Ended(BasePredictor):
    """Returns when it ended, in nanoseconds."""

    def predict(self, name: str) -> str:
        return str(time.time_ns())


class Burn(BasePredictor):
    """Holds the interpreter's lock for ``seconds``."""

    def predict(self, seconds: float) -> str:
        end = time.time() + seconds
        while time.time() < end:
            sum(range(2_000_000))
        return "burnt"


class Items(BasePredictor):
    def predict(self, count: int) -> Iterator[str]:
        for i in range(count):
            yield f"item {i}"


class Burst(BasePredictor):
    """Yields tokens as fast as possible. The last one contains the time of its yield."""

    @streaming
    def predict(self, count: int) -> Iterator[str]:
        for i in range(count):
            yield f"token{i} "
        yield f"at {time.time():.6f}"


class Stamped(BasePredictor):
    """Yields tokens 5 ms apart. Each contains the time of its yield."""

    @streaming
    def predict(self, count: int) -> Iterator[str]:
        for _ in range(count):
            time.sleep(0.005)
            yield f"at {time.time():.6f}"


class AsyncTokens(BasePredictor):
    async def setup(self) -> None:
        pass

    @streaming
    async def predict(self, count: int) -> AsyncIterator[str]:
        for i in range(count):
            await asyncio.sleep(0.004)
            yield f"token{i} "


class Held(BasePredictor):
    """Yields a token and waits for its cancel."""

    async def setup(self) -> None:
        pass

    @streaming
    async def predict(self) -> AsyncIterator[str]:
        yield "token "
        await asyncio.sleep(3600)


class Engine(BasePredictor):
    """Continuous batching: every 4 ms, a step makes a token for each current request, whenever it
    came. As on a GPU, the next step does not wait until the tokens of the last one have been sent.
    """

    async def setup(self) -> None:
        self.live = {}
        self.task = None

    async def steps(self) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time()
        while self.live:
            end = max(end + 0.004, loop.time())
            await asyncio.sleep(end - loop.time())
            for queue, left in list(self.live.items()):
                queue.put_nowait(left)
                self.live[queue] -= 1
                if left == 1:
                    del self.live[queue]

    @streaming
    async def predict(self, count: int) -> AsyncConcatenateIterator[str]:
        queue = asyncio.Queue()
        self.live[queue] = count
        if self.task is None or self.task.done():
            self.task = asyncio.get_running_loop().create_task(self.steps())
        for i in range(count):
            await queue.get()
            yield f"token{i} "


class TextIn(BasePredictor):
    def predict(self, text: str) -> str:
        return str(len(text))


class TextOut(BasePredictor):
    def predict(self, size: int) -> str:
        return "x" * size


class FileIn(BasePredictor):
    def predict(self, file: Path) -> str:
        return str(os.path.getsize(file))


class FileOut(BasePredictor):
    def setup(self) -> None:
        self.block = os.urandom(1 << 20)

    def predict(self, mib: int) -> Path:
        path = Path(tempfile.mkdtemp()) / "out.bin"
        with open(path, "wb") as f:
            for _ in range(mib):
                f.write(self.block)
        return path


class Logs(BasePredictor):
    def predict(self, count: int) -> str:
        for i in range(count):
            print(f"line {i}")
        return "printed"
