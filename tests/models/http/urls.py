from typing import Any, List
from cog import BasePredictor, Path


def about(file):
    return [file.name, file.read_text()] if file else None


class Predictor(BasePredictor):
    def predict(self, file: Path = None, many: List[Path] = [], out: bool = False) -> Any:
        if out:
            made = Path("out put.txt")
            made.write_text("made")
            return made.absolute()
        return about(file) or [about(f) for f in many]


def train(file: Path = None) -> Any:
    return about(file)
