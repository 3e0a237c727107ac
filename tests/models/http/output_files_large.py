import os, tempfile
from typing import Any
from cog import BasePredictor, Path


class Predictor(BasePredictor):
    def predict(self, mebibytes: int = 64, many: bool = False, here: bool = False) -> Any:
        path = "large.bin" if here else os.path.join(tempfile.mkdtemp(), "large.bin")
        part = bytes(range(256)) * 4096
        with open(path, "wb") as out:
            for _ in range(mebibytes):
                out.write(part)
            out.write(b"end")
        return {"before": [1, None], "é": [Path(path), "x"], "after": None} if many else Path(path)
