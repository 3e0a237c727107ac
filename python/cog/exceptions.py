"""`CancelationException`, under the name of the module that Cog has it in."""

from __future__ import annotations

from cog.errors import CancelationException

__all__ = ["CancelationException"]
