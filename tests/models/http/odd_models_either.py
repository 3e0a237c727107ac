from typing import List, Optional, Union
from cog import BasePredictor, Path


def told(value):
    return (
        [told(item) for item in value]
        if isinstance(value, list)
        else f"{type(value).__name__} {value.suffix if isinstance(value, Path) else value}"
    )


class Predictor(BasePredictor):
    def predict(
        self,
        text: Union[str, Path] = "a.png",
        file: Union[Path, str] = "a.png",
        some: Optional[Union[Path, str]] = None,
        many: List[Union[Path, str]] = ["a.png"],
    ) -> dict:
        return {"text": told(text), "file": told(file), "some": told(some), "many": told(many)}
