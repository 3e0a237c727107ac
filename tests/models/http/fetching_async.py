import asyncio, os, time
from cog import BasePredictor, Path

order = []


class Predictor(BasePredictor):
    async def predict(self, name: str = "", file: Path = None, until: str = "") -> list:
        order.append(name)
        while until and not os.path.exists(until):
            await asyncio.sleep(0.005)
        return [*order, file.read_text() if file else ""]


def train(name: str = "", file: Path = None, until: str = "") -> list:
    return asyncio.run(Predictor().predict(name, file, until))
