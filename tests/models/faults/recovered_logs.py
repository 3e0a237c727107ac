import os, subprocess, sys, time
from cog import BasePredictor, Path


class Predictor(BasePredictor):
    def predict(self, gate: str, n: int = 1, file: bool = False) -> str:
        print("printed")
        os.write(2, b"to fd 2\n")
        subprocess.run(["echo", "of a child"], check=True)
        print("x" * n)
        print("half a line", end="", flush=True)
        while not os.path.exists(gate):
            time.sleep(0.01)
        print("; its rest")
        return "done"
