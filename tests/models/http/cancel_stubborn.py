import os, signal, subprocess, time
from cog import BasePredictor


class Predictor(BasePredictor):
    def predict(self, how: str = "quick") -> int:
        print("working", flush=True)
        if how == "blocks signals":
            signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals))
            while True:
                time.sleep(1)
        while how == "swallows":
            try:
                time.sleep(60)
            except BaseException:
                pass
        if how == "child":
            subprocess.run(["sleep", "61.25"])
        return os.getpid()
