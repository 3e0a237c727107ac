import hashlib
import os
import pathlib
import tempfile
import time
from typing import Any

from cog import BasePredictor, Path


class Predictor(BasePredictor):
    def predict(
        self,
        file: Path = None,
        mebibytes: int = 0,
        kibibytes: int = 0,
        text: str = "",
        until: str = "",
        seed: str = "",
    ) -> Any:
        """Reads a file, and makes some of this size; ``seed`` begins their contents."""
        out = {"text": text}
        if file is not None:
            data = pathlib.Path(file).read_bytes()
            out["read"] = [pathlib.Path(file).name, len(data), hashlib.sha256(data).hexdigest()]
        seed = seed.replace("PID", str(os.getppid()))
        for name, size in (("a.bin", mebibytes << 20), ("b.png", kibibytes << 10)):
            if size:
                path = pathlib.Path(tempfile.mkdtemp()) / name
                with open(path, "wb") as made:
                    made.write(seed.encode())
                    for _ in range(size >> 10):
                        made.write(bytes(range(256)) * 4)
                out[name] = Path(path)
        print("made", flush=True)
        while until and not os.path.exists(until):
            time.sleep(0.01)
        return out
