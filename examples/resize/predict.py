"""An image in, an image out."""

import tempfile

from PIL import Image

from cog import BasePredictor, Input, Path


class Predictor(BasePredictor):
    def predict(
        self,
        image: Path = Input(description="The image to resize"),
        width: int = Input(description="Width of the result in pixels", default=64, ge=1, le=4096),
    ) -> Path:
        picture = Image.open(image)
        height = max(1, round(picture.height * width / picture.width))
        out = Path(tempfile.mkdtemp()) / "resized.png"
        picture.convert("RGBA").resize((width, height)).save(out)
        return out
