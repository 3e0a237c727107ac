"""Models with a healthcheck."""

import asyncio
import os
import time

from cog.internal.runtime import health


class Base:
    def predict(self, seconds: float = 0) -> str:
        time.sleep(seconds)
        return "done"


class Healthy(Base):
    def healthcheck(self) -> bool:
        return True


class Unhealthy(Base):
    def healthcheck(self) -> bool:
        return False


class Raises(Base):
    def healthcheck(self) -> bool:
        raise RuntimeError("GPU fell off the bus")


class Exits(Base):
    def healthcheck(self) -> bool:
        raise SystemExit(3)


class Hangs(Base):
    def healthcheck(self) -> bool:
        time.sleep(30)
        return True


class AsyncCheck(Base):
    async def healthcheck(self) -> bool:
        await asyncio.sleep(0)
        return True


class Wakes(Base):
    """Healthy from the second call on."""

    def setup(self) -> None:
        self.asked = 0

    def healthcheck(self) -> bool:
        self.asked += 1
        return self.asked > 1


class AsyncBase:
    async def predict(self, seconds: float = 0) -> str:
        await asyncio.sleep(seconds)
        return "done"


class AsyncHealthy(AsyncBase):
    async def healthcheck(self) -> bool:
        return True


class AsyncWithSyncCheck(AsyncBase):
    def healthcheck(self) -> bool:
        return True


class AsyncUnhealthy(AsyncBase):
    async def healthcheck(self) -> bool:
        return False


class AsyncRaises(AsyncBase):
    async def healthcheck(self) -> bool:
        raise RuntimeError("GPU fell off the bus")


class AsyncExits(AsyncBase):
    async def healthcheck(self) -> bool:
        raise SystemExit(3)


class AsyncInItsLoop(AsyncBase):
    """Healthy if its healthcheck runs in the loop of its setup."""

    async def setup(self) -> None:
        self.loop = asyncio.get_running_loop()

    async def healthcheck(self) -> bool:
        return asyncio.get_running_loop() is self.loop


class AsyncHangs(AsyncBase):
    async def healthcheck(self) -> bool:
        await asyncio.sleep(30)
        return True


class AsyncWithHangingSyncCheck(AsyncBase):
    def healthcheck(self) -> bool:
        time.sleep(30)
        return True


class HangsUntil:
    """Records the number of calls of its healthcheck. Each hangs until the file $GATE exists.

    It shortens the runner's time limit, which other tests wait for in full.
    """

    calls = 0

    def setup(self) -> None:
        health.LIMIT = 0.3

    def predict(self) -> str:
        return f"{self.calls} called"

    def healthcheck(self) -> bool:
        self.calls += 1
        return self.wait()

    def wait(self) -> bool:
        while not os.path.exists(os.environ["GATE"]):
            time.sleep(0.01)
        return True


class AsyncWithSyncCheckUntil(HangsUntil):
    async def predict(self) -> str:
        return f"{self.calls} called"


class AsyncHangsUntil(AsyncWithSyncCheckUntil):
    """Ignores cancels."""

    async def healthcheck(self) -> bool:
        self.calls += 1
        while not os.path.exists(os.environ["GATE"]):
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                pass
        return True
