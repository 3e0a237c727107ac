import os, time
from cog import BasePredictor, Path, Secret


class Predictor(BasePredictor):
    def predict(
        self, text: str = "", key: Secret = None, image: Path = None, n: float = 0, gate: str = ""
    ) -> str:
        with open("runs", "a") as file:
            file.write("run\n")
        print("says <" + text[:40] + ">")
        while gate and not os.path.exists(gate):
            time.sleep(0.01)
        return (
            "<b>"
            + text[:1000]
            + " & \u2028"
            + (key.get_secret_value()[:1] if key else "")
            + (image.read_text() if image else "")
        )


def train(text: str = "", key: Secret = None) -> str:
    with open("runs", "a") as file:
        file.write("run\n")
    return "trained " + text
