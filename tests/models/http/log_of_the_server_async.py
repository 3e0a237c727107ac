import asyncio, os, time


class Predictor:
    async def predict(self, action: str = "", s: float = 0) -> str:
        if action == "raise":
            raise ValueError("boom")
        if action == "die":
            os.kill(os.getpid(), 9)
        if action == "stubborn":
            print("ignores cancels", flush=True)
            try:
                await asyncio.sleep(s)
            except asyncio.CancelledError:
                await asyncio.sleep(s)
        await asyncio.sleep(s)
        return "done"
