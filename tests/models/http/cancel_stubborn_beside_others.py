import asyncio, os


class Predictor:
    async def predict(self, until: str, stubborn: bool = False) -> str:
        print("working")
        while not os.path.exists(until):
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                if not stubborn:
                    raise
        return until
