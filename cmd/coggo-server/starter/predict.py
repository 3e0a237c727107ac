"""A model to start from: change it while `coggo-server --reload` serves it."""

from cog import BasePredictor, Input


class Predictor(BasePredictor):
    def setup(self) -> None:
        """Load weights here: it runs once, before the first prediction."""
        self.styles = {"plain": "{}.", "loud": "{}!", "asking": "{}?"}

    # Each parameter is an input of the API and a field of the form at /docs, and what is sent is
    # checked before predict is called. Besides str and int there are float, bool, list[...],
    # Optional[...], and cog.Path for a file, which is downloaded before.
    def predict(
        self,
        text: str = Input(description="What to say"),
        times: int = Input(description="How often", default=1, ge=1, le=10),
        style: str = Input(description="How", default="plain", choices=["plain", "loud", "asking"]),
    ) -> str:
        """Say something a few times."""
        print(f"saying it {times} times")  # what is printed is the log of the prediction
        return " ".join([self.styles[style].format(text)] * times)
        # Return a cog.Path for a file. To stream, yield and declare -> Iterator[str].
