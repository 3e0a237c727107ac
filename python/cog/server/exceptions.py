"""`CancelationException`, in the module in which earlier releases of Cog had it."""

from __future__ import annotations

from cog.errors import CancelationException

__all__ = ["CancelationException"]
