"""Reads the text in a picture. The weights come with a wheel from PyPI, so nothing is downloaded
when the model starts.
"""

from rapidocr_onnxruntime import RapidOCR

from cog import BaseModel, BasePredictor, Input, Path


class Line(BaseModel):
    text: str
    score: float
    box: list[int]  # left, top, right, bottom, in pixels


class Output(BaseModel):
    text: str
    lines: list[Line]


def around(corners: list[list[float]]) -> list[int]:
    xs, ys = zip(*corners)
    return [round(edge) for edge in (min(xs), min(ys), max(xs), max(ys))]


class Predictor(BasePredictor):
    def setup(self) -> None:
        self.read = RapidOCR()

    def predict(
        self,
        image: Path = Input(description="A picture with text in it"),
        min_score: float = Input(
            description="How sure the model must be of a line", default=0.5, ge=0, le=1
        ),
    ) -> Output:
        found, _ = self.read(str(image), text_score=min_score)
        lines = [
            Line(text=text, score=round(float(score), 3), box=around(corners))
            for corners, text, score in found or []
        ]
        return Output(text="\n".join(line.text for line in lines), lines=lines)
