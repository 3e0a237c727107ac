from cog import BasePredictor, Input, Path

print("loading", flush=True)


class Predictor(BasePredictor):
    def predict(self, name: str = Input(default="x", description="né")) -> Path:
        with open("out.txt", "w") as out:
            out.write(name)
        return Path("out.txt")


def train(n: int = Input(ge=1)) -> str:
    return "n" * n
