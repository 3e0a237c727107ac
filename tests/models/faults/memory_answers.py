import os, tempfile
from typing import Iterator
from cog import BasePredictor, Path, streaming


class Texts(BasePredictor):
    @streaming
    def predict(self, size: int = 0, lines: int = 0) -> str:
        for _ in range(lines):
            print("x" * 99)
        return "é" * (size // 2)


class Yields(BasePredictor):
    def predict(self, size: int) -> Iterator[str]:
        while True:
            yield "x" * size


class Files(BasePredictor):
    @streaming
    def predict(self, mib: int) -> Iterator[Path]:
        path = os.path.join(tempfile.mkdtemp(), "large.bin")
        with open(path, "wb") as out:
            for _ in range(mib):
                out.write(bytes(1 << 20))
        yield Path(path)
