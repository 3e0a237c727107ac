"""Converters of an earlier runtime for types that it did not know.

Dataclasses, sets, objects and pydantic models need none here. The class and the modules stay
importable, so that models which define or register a coder load; a registered coder is not asked.
"""

from __future__ import annotations

from typing import Any


class Coder:
    """Base of a converter between a Python type and JSON."""

    @staticmethod
    def register(coder: Any) -> None:
        """Accepted; the built-in conversions do the work."""

    @staticmethod
    def lookup(type_: Any) -> Any | None:
        """No coder is ever needed."""
        return None

    @staticmethod
    def factory(type_: Any) -> Any | None:
        """Overridden by coders: a coder for the type, or None."""
        return None

    def encode(self, value: Any) -> dict[str, Any]:
        """Overridden by coders: the JSON object for a value."""
        raise NotImplementedError

    def decode(self, value: dict[str, Any]) -> Any:
        """Overridden by coders: the value for a JSON object."""
        raise NotImplementedError


__all__ = ["Coder"]
