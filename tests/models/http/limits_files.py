from typing import Iterator, List, Optional
from cog import Path


class Predictor:
    def predict(
        self,
        images: Optional[List[Path]] = None,
        one: Optional[Path] = None,
        times: int = 1,
        size: int = 1,
        whole: bool = False,
    ) -> Iterator[str]:
        for _ in range(times):
            yield "x" * size


class Whole:
    def predict(self, size: int = 1) -> str:
        return "x" * size
