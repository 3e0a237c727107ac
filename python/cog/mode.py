"""What a server is asked to run."""

from __future__ import annotations

from enum import Enum


class Mode(Enum):
    """``predict`` or ``train``."""

    PREDICT = "predict"
    TRAIN = "train"

    def __str__(self) -> str:
        return str(self.value)


__all__ = ["Mode"]
