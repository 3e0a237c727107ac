import time
from typing import Any, List
from cog import BasePredictor, Input, Path, Secret


class Predictor(BasePredictor):
    def setup(self):
        print("model is set up")

    def predict(
        self,
        prompt: str = Input(description="What to say"),
        image: Path = None,
        numbers: List[int] = [1],
        steps: int = Input(default=3, ge=1, le=9),
        loud: bool = False,
        key: Secret = None,
        how: str = Input(
            default="text", choices=["text", "file", "two files", "fail", "hang", "object"]
        ),
    ) -> "Any":
        print("predicting")
        if how == "hang":
            print("hanging", flush=True)
            time.sleep(60)
        if how == "fail":
            raise ValueError("no such luck")
        if how in ("file", "two files"):
            made = Path("result.txt").absolute()
            made.write_bytes(image.read_bytes() if image else prompt.encode())
            return made if how == "file" else [made, made]
        if how == "object":
            return {"prompt": prompt, "numbers": numbers, "steps": steps, "loud": loud}
        return prompt + ("" if image is None else " " + image.name)
