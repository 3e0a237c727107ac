"""Kept for models that import it; the conversion is built in."""

from __future__ import annotations

from cog.coder import Coder


class JsonCoder(Coder):
    """Does nothing of its own, see `cog.coder`."""


__all__ = ["JsonCoder"]
