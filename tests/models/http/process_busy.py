from typing import Any, List, Optional
from cog import BaseModel, BasePredictor, File, Input, Path, Secret, batch, current_scope


class Point(BaseModel):
    x: int = 1


class Predictor(BasePredictor):
    def setup(self, weights: Optional[Path] = None):
        self.weights = weights.read_text()

    def predict(
        self,
        how: str = "",
        file: Path = None,
        given: File = None,
        at: Point = Point(),
        key: Secret = None,
        xs: "List[int]" = [1],
    ) -> Any:
        if how == "raise":
            raise ValueError("wrong")
        if how == "sleep":
            __import__("time").sleep(600)
        with open("/proc/self/cmdline") as out:
            pass
        current_scope().record_metric("n", 1)
        return [
            self.weights,
            file.read_text(),
            given.read().decode(),
            at.x,
            key.get_secret_value(),
            xs,
        ]

    def healthcheck(self) -> bool:
        return True

    def train(self, n: int = 1) -> int:
        return n


class Batched(BasePredictor):
    def setup(self, weights: Optional[Path] = None):
        self.weights = weights.read_text()

    @batch(max_size=4)
    def predict(self, n: List[int]) -> List[int]:
        return n
