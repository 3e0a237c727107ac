import time
from typing import Any, List, Optional
from cog import BaseModel, BasePredictor, File, Input, Path, Secret


class Predictor(BasePredictor):
    def predict(
        self,
        text: str = Input(description="<script>document.title = 'broken in'</script>"),
        whole: int = Input(default=3, ge=1, le=9),
        big: int = Input(default=0),
        real: float = Input(default=0.5, ge=0, le=1),
        flag: bool = Input(default=True),
        maybe: Optional[bool] = Input(default=None),
        choice: str = Input(default="two", choices=["one", "two", "<b>three</b>"]),
        number_choice: int = Input(default=8, choices=[8, 16]),
        image: Optional[Path] = Input(default=None),
        several: List[Path] = Input(default=[]),
        secret: Secret = Input(default=None),
        tags: List[str] = Input(default=["a"]),
        counts: List[int] = Input(default=[]),
        extra: dict = Input(default={}),
        anything: Any = Input(default=None),
        unsure: bool = Input(default=None),
    ) -> dict:
        return {
            "text": text,
            "whole": whole,
            "big": str(big),
            "real": real,
            "flag": flag,
            "maybe": maybe,
            "choice": choice,
            "number_choice": number_choice,
            "image": image and image.read_text()[:100],
            "several": [p.read_text() for p in several],
            "secret": secret and len(secret.get_secret_value()),
            "tags": tags,
            "counts": counts,
            "extra": extra,
            "anything": anything,
            "unsure": unsure,
        }
