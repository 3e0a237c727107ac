from typing import Any, Dict, List, Literal, Optional
from cog import BaseModel, BasePredictor, Input, Path, Secret


class Box(BaseModel):
    width: int
    height: int = 1


class Predictor(BasePredictor):
    def predict(
        self,
        prompt: str = Input(description="What to draw", min_length=1, max_length=1000),
        image: Path = Input(description="Where to begin", accept="image/*"),
        steps: int = Input(default=20, ge=1, le=100),
        scale: float = Input(default=7.5, ge=0, le=20),
        seed: Optional[int] = None,
        style: str = Input(default="oil", choices=["oil", "ink", "pixels"]),
        size: Literal["auto", 512, None] = None,
        hd: bool = True,
        maybe: Optional[bool] = None,
        token: Secret = Input(default=None),
        masks: List[Path] = Input(default=[], max_length=3),
        tags: List[str] = Input(default=["a", "b"], min_length=1, max_length=9),
        counts: List[int] = Input(default=[3], ge=1, le=9),
        box: Box = Input(default=Box(width=3)),
        must: Box = Input(description="Where"),
        weights: Dict[str, float] = Input(default={}),
        anything: Any = None,
    ) -> str:
        return prompt
