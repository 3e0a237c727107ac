"""`Mode`: the method that a server runs."""

from __future__ import annotations

from enum import Enum


class Mode(Enum):
    """``predict`` or ``train``."""

    PREDICT = "predict"
    TRAIN = "train"

    def __str__(self) -> str:
        return str(self.value)


__all__ = ["Mode"]
