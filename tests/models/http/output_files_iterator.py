import os, tempfile, time
from typing import Any, Iterator
from cog import BasePredictor, Path, streaming


class Predictor(BasePredictor):
    @streaming
    def predict(self, count: int = 3, end: str = "") -> Iterator[Path]:
        path = os.path.join(tempfile.mkdtemp(), "frame.txt")
        for i in range(count):
            with open(path, "w") as out:
                out.write(f"frame {i}")
            yield Path(path)
        if end == "raise":
            raise ValueError("boom")
        if end == "missing":
            yield Path("/nowhere/at/all.txt")
        if end == "hang":
            time.sleep(60)
