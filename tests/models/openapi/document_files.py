import pathlib, tempfile
from typing import List, Optional
from cog import BaseModel, BasePredictor, Input, Path, Secret


class Output(BaseModel):
    file: Path
    words: List[str]


class Predictor(BasePredictor):
    def predict(
        self,
        image: Optional[Path] = None,
        images: Optional[List[Path]] = None,
        words: List[str] = Input(default=[], max_length=3),
        pick: str = Input(default="a", choices=["a", "b"]),
        flag: bool = False,
        flags: List[bool] = Input(default=[]),
        number: int = Input(default=1, choices=[1, 2]),
        scale: float = Input(default=0.5, ge=0, le=1),
        token: Secret = Secret("none"),
        word: str = Input(default="a", regex="^[a-z]+$"),
    ) -> Output:
        made = pathlib.Path(tempfile.mkdtemp()) / "out.txt"
        made.write_text(pick)
        return Output(file=Path(made), words=words)
