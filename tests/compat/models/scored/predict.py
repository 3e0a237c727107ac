"""A classifier whose output is the author's own pydantic model."""

from typing import List, Optional

from pydantic import BaseModel

from cog import BasePredictor, Input


class Label(BaseModel):
    name: str
    score: float


class Result(BaseModel):
    best: Optional[Label] = None
    labels: List[Label]
    total: int


class Predictor(BasePredictor):
    def predict(self, text: str, threshold: float = Input(default=0.1, ge=0, le=1)) -> Result:
        counts = {c: text.count(c) / max(1, len(text)) for c in sorted(set(text))}
        labels = [Label(name=c, score=round(s, 4)) for c, s in counts.items() if s >= threshold]
        best = max(labels, key=lambda label: label.score, default=None)
        return Result(best=best, labels=labels, total=len(counts))
