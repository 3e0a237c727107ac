from typing import Any
from cog import BasePredictor

OUTPUTS = {
    "zero": 0,
    "float zero": 0.0,
    "false": False,
    "empty": "",
    "empty list": [],
    "empty object": {},
    "none": None,
    "one item": ["x"],
    "big": 2**70,
    "ordered": {"z": 1, "a": 2},
    "nested": {"l": [1, [2.5, None]]},
    "text": "é😀\n",
    "nan": float("nan"),
    "inf": [1, {"x": float("inf")}],
    "unserialisable": object(),
    "bytes": b"x",
}


class Predictor(BasePredictor):
    def predict(self, what: str = "text") -> Any:
        print("log of", what)
        if what == "raise":
            raise ValueError("boom")
        if what == "raise nothing":
            raise ValueError
        if what == "raise key":
            raise KeyError("k")
        return OUTPUTS[what]
