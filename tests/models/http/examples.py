from typing import List, Optional, Union
from cog import BaseModel, BasePredictor, Input, Path


class Holder(BaseModel):
    file: Path


class Predictor(BasePredictor):
    def predict(
        self,
        prompt: str = Input(min_length=1, default="x"),
        image: Optional[Path] = None,
        images: List[Path] = Input(default=[]),
        either: Union[Path, str] = "x",
        holder: Optional[Holder] = None,
    ) -> str:
        return prompt
