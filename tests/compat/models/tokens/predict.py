"""Tokens one by one, and what became of them when it fails."""

from cog import BasePredictor, ConcatenateIterator, Input


class Predictor(BasePredictor):
    def predict(
        self,
        prompt: str = Input(description="What to continue", regex="^[a-z ]+$"),
        tokens: int = Input(default=5, ge=0, le=50),
        fail_after: int = Input(default=-1),
    ) -> ConcatenateIterator[str]:
        words = prompt.split() or ["x"]
        for i in range(tokens):
            if i == fail_after:
                raise ValueError(f"gave up after {i} tokens")
            yield words[i % len(words)] + str(i) + " "
