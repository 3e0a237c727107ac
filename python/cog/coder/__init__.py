"""`Coder`, by which earlier releases of Cog converted types that they did not know.

Here dataclasses, sets, objects and pydantic models do not need a coder. The class and its modules
are kept, so that models that define or register a coder can be loaded. A registered coder is never
called.
"""

from __future__ import annotations

from typing import Any


class Coder:
    """The base class of converters between a Python type and JSON."""

    @staticmethod
    def register(coder: Any) -> None:
        """Do nothing, because the built-in conversions do the work."""

    @staticmethod
    def lookup(type_: Any) -> Any | None:
        """Return None, because types do not need a coder."""
        return None

    @staticmethod
    def factory(type_: Any) -> Any | None:
        """Return a coder for the type, or None. Coders override it."""
        return None

    def encode(self, value: Any) -> dict[str, Any]:
        """Return the JSON object for a value. Coders override it."""
        raise NotImplementedError

    def decode(self, value: dict[str, Any]) -> Any:
        """Return the value for a JSON object. Coders override it."""
        raise NotImplementedError


__all__ = ["Coder"]
