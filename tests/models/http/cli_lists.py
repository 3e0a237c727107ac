from typing import Any, Dict, List, Literal, Optional, Union
from cog import BasePredictor, File, Input, Path, Secret


class Predictor(BasePredictor):
    def predict(
        self,
        texts: List[str] = ["a"],
        numbers: list[int] = Input(default=[1], description="to add"),
        bare: list = [1],
        anything: List[Any] = [1],
        of_lists: List[List[float]] = [[1]],
        of_objects: List[Dict[str, int]] = [{}],
        chosen: List[str] = Input(default=["x"], choices=["x", "1"]),
        literal: List[Literal["x", "1"]] = ["x"],
        optional: Optional[List[int]] = [1],
        no_default: Optional[List[str]] = None,
        either: Union[List[int], str] = "a",
        open_type: Any = 1,
        files: List[Path] = [],
        old_files: List[File] = [],
        secrets: List[Secret] = [],
    ) -> Any:
        return {name: value for name, value in locals().items() if name != "self"}
