"""The models for the tests of Replicate's clients; the input selects what they do."""

import tempfile
import time
from collections.abc import Iterator
from typing import Any, Optional

from cog import BasePredictor, Path, streaming


class Predictor(BasePredictor):
    """Answers with one value."""

    def predict(
        self,
        text: str = "x",
        n: int = 1,
        file: Optional[Path] = None,
        end: str = "",
        pause: float = 0.0,
    ) -> Any:
        print("said", text)
        time.sleep(pause)
        if end == "raise":
            raise ValueError("boom")
        if end == "list":
            return [text] * n
        if end == "file":
            path = Path(tempfile.mkdtemp()) / "out.txt"
            path.write_text(text)
            return path
        if file is not None:
            return {"name": file.name, "text": file.read_text()}
        return text * n


class Streamer(BasePredictor):
    """Yields words."""

    @streaming
    def predict(self, text: str = "a b c", pause: float = 0.0, end: str = "") -> Iterator[str]:
        for word in text.split(" "):
            yield word + " "
            time.sleep(pause)
        print("done")
        if end == "raise":
            raise ValueError("boom")
