import asyncio, os, pathlib, tempfile
from typing import Any
from cog import BasePredictor, Path, concurrent


class Predictor(BasePredictor):
    async def setup(self):
        self.waiting = {}
        self.path = None

    @concurrent(max=4)
    async def predict(self, name: str = "", size: int = 4, wait: str = "", wake: str = "") -> Any:
        if wake:
            self.waiting[wake].set()
            return "done"
        if wait:
            await self.waiting.setdefault(wait, asyncio.Event()).wait()
        if self.path is None or not name:
            self.path = os.path.join(tempfile.mkdtemp(), "out.txt")
            pathlib.Path(self.path).write_bytes(b"s" * size)
        return Path(self.path)
