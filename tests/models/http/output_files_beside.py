import os
from typing import Iterator, List
from cog import BasePredictor, Path, batch


def beside():
    os.makedirs("deep", exist_ok=True)
    with open("deep/out.txt", "w") as out:
        out.write("made")
    return Path("deep/out.txt")


class Plain:
    def predict(self) -> Path:
        return beside()


class Yields:
    def predict(self) -> Iterator[Path]:
        yield beside()


class Async:
    async def predict(self) -> Path:
        return beside()


class Batch:
    @batch(max_size=4)
    def predict(self, n: List[int]) -> List[Path]:
        return [beside() for _ in n]
