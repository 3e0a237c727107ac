"""`Scope` and `current_scope`, in the module in which earlier releases of Cog had them."""

from __future__ import annotations

from cog.scope import Scope, current_scope

__all__ = ["Scope", "current_scope"]
