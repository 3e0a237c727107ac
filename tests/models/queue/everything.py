import os
import pathlib
import signal
import time

from cog import BaseModel, BasePredictor, Input


class Predictor(BasePredictor):
    def predict(
        self,
        name: str = "you",
        s: float = Input(default=0, ge=0),
        runs: str = Input(default="", description="file that gets a line for each run"),
        until: str = Input(default="", description="run until this file exists"),
        bytes_out: int = 0,
        text: str = "",
        fail: str = "",
    ) -> str:
        if runs:
            with open(runs, "a") as file:
                file.write(f"{os.getppid()}\n")
        print("hello", name, flush=True)
        time.sleep(s)
        while until and not os.path.exists(until):
            time.sleep(0.01)
        if fail == "server":
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(60)
        if fail:
            raise ValueError(fail)
        if text:
            return str(len(text))
        return "x" * bytes_out if bytes_out else f"hello {name}"


class TrainingOutput(BaseModel):
    weights: str


def train(n: int = 1) -> TrainingOutput:
    return TrainingOutput(weights="w" * n)
