"""Waits for a file, and says which process of the server ran it."""

import os
import pathlib
import time

SERVER = os.getppid()


class Predictor:
    def predict(self, gate: str = "", begun: str = "", poison: bool = False, name: str = "") -> str:
        if begun:
            with open(begun, "a") as file:
                file.write(f"{SERVER}\n")
        if poison:
            os.kill(SERVER, 9)
        while gate and not pathlib.Path(gate).exists():
            time.sleep(0.01)
        return name or str(SERVER)
