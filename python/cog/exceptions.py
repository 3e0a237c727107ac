"""The exception that a canceled ``predict()`` sees."""

from __future__ import annotations

from cog.errors import CancelationException

__all__ = ["CancelationException"]
