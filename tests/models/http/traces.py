from cog import BasePredictor, Path, current_scope
import tempfile
from typing import Any


class Predictor(BasePredictor):
    def predict(self, image: Path = None, make: bool = False, fail: bool = False) -> "Any":
        if fail:
            raise ValueError("boom")
        if make:
            made = Path(tempfile.mkdtemp()) / "out.txt"
            made.write_text("x")
            return made
        return [current_scope().traceparent, current_scope().tracestate]
