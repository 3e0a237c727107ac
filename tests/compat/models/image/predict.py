"""A thumbnail: an image in, an image out."""

import tempfile

from PIL import Image

from cog import BasePredictor, Input, Path


class Predictor(BasePredictor):
    def predict(
        self, image: Path, size: int = Input(default=8, ge=1, le=512), gray: bool = False
    ) -> Path:
        picture = Image.open(str(image))
        picture = picture.convert("L" if gray else "RGB").resize((size, size))
        out = Path(tempfile.mkdtemp()) / "thumbnail.png"
        picture.save(str(out))
        return out
