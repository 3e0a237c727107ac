"""Models that read their context."""

import asyncio
import contextvars
import threading
from typing import Any

from cog import current_scope


def shows(change: bool = False) -> Any:
    context = current_scope().context
    shown = dict(context)
    if change:
        context["changed"] = "yes"
    return shown


async def async_shows(change: bool = False) -> Any:
    await asyncio.sleep(0.05)
    return shows(change)


def in_thread() -> Any:
    found: list[Any] = []

    def look() -> None:
        found.append(dict(current_scope().context))

    for context in (contextvars.Context(), contextvars.copy_context()):
        thread = threading.Thread(target=context.run, args=(look,))
        thread.start()
        thread.join()
    return found


class InSetup:
    def setup(self) -> None:
        self.context = dict(current_scope().context)

    def predict(self) -> Any:
        return self.context
