import hashlib, os, time
from typing import Any, List, Optional
from cog import BasePredictor, File, Input, Path


def about(path):
    if path is None:
        return None
    data = open(path, "rb").read()
    return {
        "name": os.path.basename(path),
        "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "text": data[:200].decode("utf-8", "replace"),
        "path": str(path),
        "type": type(path).__name__,
    }


class Predictor(BasePredictor):
    def predict(
        self,
        one: Path = None,
        many: List[Path] = Input(default=[]),
        maybe: Optional[Path] = None,
        file: File = None,
        text: str = "",
        end: str = "",
    ) -> Any:
        out = {
            "one": about(one),
            "many": [about(p) for p in many],
            "maybe": about(maybe),
            "text": text,
        }
        if file is not None:
            out["file"] = file.read().decode("utf-8", "replace")
        self.seen = out
        if end == "raise":
            raise ValueError("paths: " + " ".join(str(p) for p in [one, *many] if p))
        if end == "hang":
            time.sleep(60)
        return out
