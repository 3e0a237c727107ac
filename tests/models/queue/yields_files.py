import pathlib
import tempfile
from typing import Any, Iterator

import cog
from cog import BasePredictor, Path


class Predictor(BasePredictor):
    @cog.streaming
    def predict(self, mebibytes: int = 1) -> Iterator[Any]:
        yield "first"
        path = pathlib.Path(tempfile.mkdtemp()) / "large.bin"
        path.write_bytes(bytes(range(256)) * 4096 * mebibytes)
        yield Path(path)
        yield "last"
