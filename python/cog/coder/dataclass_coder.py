"""Kept for models that import it, because the conversion is built in."""

from __future__ import annotations

from cog.coder import Coder


class DataclassCoder(Coder):
    """Does nothing, see `cog.coder`."""


__all__ = ["DataclassCoder"]
