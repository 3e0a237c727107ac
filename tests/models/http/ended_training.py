import os, pathlib, tempfile
from cog import BaseModel, BasePredictor, Path


class Weights(BaseModel):
    weights: Path


kept = []


def train(n: int = 0) -> Weights:
    for fd in kept:
        os.pwrite(fd, b"n" * (2 << 20), 0)
    path = os.path.join(tempfile.mkdtemp(), "weights.bin")
    pathlib.Path(path).write_bytes(b"w" * (2 << 20))
    kept.append(os.open(path, os.O_RDWR))
    return Weights(weights=Path(path))


class Predictor(BasePredictor):
    def predict(self) -> str:
        return ""
