import os, signal, time
from cog import BasePredictor


class Predictor(BasePredictor):
    def predict(self, action: str = "", s: float = 0) -> str:
        if action == "raise":
            raise ValueError("boom")
        if action == "long":
            raise ValueError("é" * 5000)
        if action == "die":
            os.kill(os.getpid(), 9)
        if action == "exit":
            os._exit(7)
        if action == "stubborn":
            signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals))
            print("ignores cancels", flush=True)
        time.sleep(s)
        return "done"


def train(n: int = 1) -> str:
    raise RuntimeError("no data")
