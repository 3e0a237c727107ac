import os, pathlib, time


class Predictor:
    def healthcheck(self):
        how = pathlib.Path(os.environ["HOW"]).read_text()
        if how == "raise":
            raise RuntimeError("GPU lost")
        while how == "hang":
            time.sleep(0.01)
            how = pathlib.Path(os.environ["HOW"]).read_text()
        return how == "well"

    def predict(self, s: float = 0) -> str:
        time.sleep(s)
        return "done"
