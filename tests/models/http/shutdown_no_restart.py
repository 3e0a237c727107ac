import os, pathlib, time

here = pathlib.Path(__file__).parent


class Predictor:
    def setup(self):
        with open(here / "setups", "a") as f:
            f.write(f"{os.getpid()}\n")
        while (here / "hold").exists():
            time.sleep(0.02)

    def predict(self, until: str = "") -> str:
        print(os.getpid(), flush=True)
        while until and not (here / until).exists():
            time.sleep(0.02)
        return "done"
