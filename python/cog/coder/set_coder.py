"""Kept for models that import it, because the conversion is built in."""

from __future__ import annotations

from cog.coder import Coder


class SetCoder(Coder):
    """Does nothing, see `cog.coder`."""


__all__ = ["SetCoder"]
