import pathlib


class Predictor:
    def setup(self):
        print("of the setup")
        if pathlib.Path("fail").exists():
            raise RuntimeError("of the traceback")

    def healthcheck(self):
        if pathlib.Path("ill").exists():
            raise RuntimeError("of the healthcheck")
        return True

    def predict(self) -> str:
        return "done"
