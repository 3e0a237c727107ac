"""Where earlier releases kept `BasePredictor`."""

from __future__ import annotations

from cog.predictor import BasePredictor

__all__ = ["BasePredictor"]
