import os, sys, time
from cog import BasePredictor


class Predictor(BasePredictor):
    def predict(self, mood: str = "calm") -> float:
        if mood == "long line":
            print("x" * 300_000)
        if mood == "raise":
            raise ValueError("boom")
        if mood == "exit":
            sys.exit(3)
        if mood == "nan":
            return float("nan")
        while mood == "loop":
            pass
        if mood == "sleep":
            time.sleep(60)
        if mood == "die":
            os.kill(os.getpid(), 9)
        while mood == "stubborn":
            try:
                time.sleep(60)
            except BaseException:
                pass
        return 1
