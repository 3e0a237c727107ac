import asyncio, time
from cog import BasePredictor, Path, concurrent, current_scope


class Predictor(BasePredictor):
    async def setup(self):
        self.running = 0
        self.most = 0
        self.gate = asyncio.Event()
        self.all = asyncio.Event()

    @concurrent(max=256)
    async def predict(self, id: str, lines: int = 0, wait: int = 0, end: str = "") -> list:
        if end == "open":
            self.gate.set()
            return []
        if end == "most":
            return [self.most]
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            if self.running == wait:
                self.all.set()
            if wait:
                await self.all.wait()
            for n in range(lines):
                print(id)
                if n % 10 == 9:
                    self.record_metric("printed", 10, mode="incr")
                    await asyncio.sleep(0)
            self.record_metric("mine", id)
            if end == "gate":
                await self.gate.wait()
            if end == "fail":
                raise ValueError("bad " + id)
            return [id, current_scope().context["who"], self.scope.context["who"]]
        finally:
            self.running -= 1
