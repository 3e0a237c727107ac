"""Word statistics of a text: plain types, choices, bounds, a list."""

import re
from typing import Any, Dict, List, Optional

from cog import BasePredictor, Input


class Predictor(BasePredictor):
    def setup(self) -> None:
        self.stop_words = {"the", "a", "and"}

    def predict(
        self,
        text: str = Input(description="What to count", min_length=1),
        order: str = Input(default="count", choices=["count", "word"]),
        top: int = Input(default=3, ge=1, le=100),
        weight: float = Input(default=1.0, ge=0),
        skip: List[str] = Input(default=[]),
        keep_stop_words: bool = Input(default=False),
        seed: Optional[int] = Input(default=None),
    ) -> Dict[str, Any]:
        skip.append("zzz")  # a default must not be shared between requests
        words = [w.lower() for w in re.findall(r"\w+", text)]
        words = [
            w for w in words if w not in skip and (keep_stop_words or w not in self.stop_words)
        ]
        counts = {w: words.count(w) * weight for w in sorted(set(words))}
        key = (lambda w: (-counts[w], w)) if order == "count" else (lambda w: w)
        return {
            "top": [[w, counts[w]] for w in sorted(counts, key=key)[:top]],
            "seed": seed,
            "skipped": len(skip),
        }
