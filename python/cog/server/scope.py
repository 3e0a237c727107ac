"""Where earlier releases kept the scope."""

from __future__ import annotations

from cog.scope import Scope, current_scope

__all__ = ["Scope", "current_scope"]
