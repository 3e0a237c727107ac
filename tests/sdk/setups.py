"""Runs ``setup(weights)`` of models in one Python, and prints the weights of each as JSON."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from typing import Any

MODEL = """
import pathlib
from typing import Optional, Union
from cog import BasePredictor, File, Path
class Predictor(BasePredictor):
    def setup(self, {parameter}):
        text = weights.read() if hasattr(weights, "read") else weights.read_text() if hasattr(weights, "read_text") else None
        self.scope = [type(weights).__name__, text if isinstance(text, (str, type(None))) else text.decode(), str(weights)]
    def predict(self) -> str:
        ...
"""


def got(number: int, parameter: str, url: str | None, there: bool) -> Any:
    from cog.internal.contract.loader import load
    from cog.predictor import extract_setup_weights, has_setup_weights

    os.environ.pop("COG_WEIGHTS", None)
    if url is not None:
        os.environ["COG_WEIGHTS"] = url
    if there:
        with open("weights", "w") as file:
            file.write("local")
    elif os.path.exists("weights"):
        os.unlink("weights")
    with open(f"model{number}.py", "w") as file:
        file.write(MODEL.format(parameter=parameter))
    model = load(f"model{number}.py:Predictor")
    model.setup()
    return [
        *model._object.scope,
        has_setup_weights(model._object),
        type(extract_setup_weights(model._object)).__name__,
    ]


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        os.chdir(directory)
        tempfile.tempdir = directory
        rows = [got(number, *row) for number, row in enumerate(json.load(sys.stdin))]
        os.chdir("/")
    json.dump(rows, sys.stdout)


if __name__ == "__main__":
    main()
