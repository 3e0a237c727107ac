"""The sources of models that tests give to their servers."""

from __future__ import annotations

import pathlib

_MODELS = pathlib.Path(__file__).resolve().parent / "models"


def model_source(name: str) -> str:
    """Return the source of a model by its path below tests/models, without ``.py``."""
    return (_MODELS / f"{name}.py").read_text()
