"""A language model that answers many at once: requests join the running batch at any step, and
stream their tokens.
"""

import asyncio
import os
import pathlib

os.environ.setdefault(
    "OPENBLAS_NUM_THREADS", "1"
)  # the matrices are small, and the server needs a core too

from engine import Engine
from model import Transformer

from cog import AsyncConcatenateIterator, BasePredictor, Input, concurrent, streaming

ROWS = 64


class Predictor(BasePredictor):
    async def setup(self):
        text = (pathlib.Path(__file__).parent / "text.txt").read_text()
        self.model = Transformer(" ".join(text.split()))
        self.engine = Engine(self.model, ROWS)
        self.task = asyncio.create_task(self.engine.run())

    @streaming
    @concurrent(max=ROWS)
    async def predict(
        self,
        prompt: str = Input(
            description="How it begins", default="In the evening ", min_length=1, max_length=1000
        ),
        max_tokens: int = Input(description="Letters to write", default=64, ge=1, le=200),
        temperature: float = Input(
            description="0 always takes the likeliest letter", default=0.5, ge=0, le=2
        ),
        seed: int = Input(description="The same seed gives the same text", default=0, ge=0),
    ) -> AsyncConcatenateIterator[str]:
        """Yield the text of the transformer, letter by letter."""
        async for token in self.engine.generate(
            self.model.encode(prompt), max_tokens, temperature, seed
        ):
            yield self.model.letters[token]

    async def healthcheck(self) -> bool:
        return not self.task.done()
