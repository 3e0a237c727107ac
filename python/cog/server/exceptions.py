"""Where earlier releases kept `CancelationException`."""

from __future__ import annotations

from cog.errors import CancelationException

__all__ = ["CancelationException"]
