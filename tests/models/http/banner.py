from typing import Any, Dict, List, Literal, Optional, Union
from cog import BasePredictor, File, Input, Path, Secret


def seen(value):
    if isinstance(value, Path):
        return value.read_bytes().hex()
    return [seen(item) for item in value] if isinstance(value, list) else str(value)


class Predictor(BasePredictor):
    def predict(self, SIGNATURE) -> Any:
        return {name: seen(value) for name, value in locals().items() if name != "self"}
