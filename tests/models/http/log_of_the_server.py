import os, signal, time
from cog import BasePredictor


class Predictor(BasePredictor):
    def predict(self, deed: str = "", s: float = 0) -> str:
        if deed == "raise":
            raise ValueError("boom")
        if deed == "long":
            raise ValueError("é" * 5000)
        if deed == "die":
            os.kill(os.getpid(), 9)
        if deed == "exit":
            os._exit(7)
        if deed == "stubborn":
            signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals))
            print("ignores cancels", flush=True)
        time.sleep(s)
        return "done"


def train(n: int = 1) -> str:
    raise RuntimeError("no data")
