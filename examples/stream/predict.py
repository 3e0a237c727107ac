"""An iterator: what it yields reaches the client while the model runs."""

import time

from cog import BasePredictor, ConcatenateIterator, Input, streaming


class Predictor(BasePredictor):
    @streaming
    def predict(
        self,
        text: str = Input(description="What to say, word by word", default="one two three"),
        pause: float = Input(description="Seconds between two words", default=0.2, ge=0, le=5),
    ) -> ConcatenateIterator[str]:
        for word in text.split():
            yield word + " "
            time.sleep(pause)
