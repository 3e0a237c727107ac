import asyncio, os, time


class Predictor:
    async def predict(self, deed: str = "", s: float = 0) -> str:
        if deed == "raise":
            raise ValueError("boom")
        if deed == "die":
            os.kill(os.getpid(), 9)
        if deed == "stubborn":
            print("ignores cancels", flush=True)
            try:
                await asyncio.sleep(s)
            except asyncio.CancelledError:
                await asyncio.sleep(s)
        await asyncio.sleep(s)
        return "done"
