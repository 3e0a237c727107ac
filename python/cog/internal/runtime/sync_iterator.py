"""Takes the items of an asynchronous iterator in a model whose ``predict()`` is synchronous, where
no loop runs.
"""

from __future__ import annotations

from typing import Any

from cog.internal.pristine import builtins as __builtins__  # noqa: F401


class Pulled:
    """Iterates over the items of an asynchronous iterator, in its own loop until `close`."""

    def __init__(self, items: Any) -> None:
        import asyncio  # local, because most synchronous models do not need it

        self._asyncio = asyncio
        self._loop = asyncio.new_event_loop()
        self._items = items.__aiter__()

    def __iter__(self) -> Pulled:
        return self

    def __next__(self) -> Any:
        try:
            return self._loop.run_until_complete(self._items.__anext__())
        except StopAsyncIteration:
            raise StopIteration from None

    def close(self) -> None:
        """Cancel the tasks that run, even a step that was interrupted, and run the clean-up of the
        iterator.
        """
        try:
            left = self._asyncio.all_tasks(self._loop)
            for task in left:
                task.cancel()
            if left:
                self._loop.run_until_complete(self._asyncio.wait(left))
            if hasattr(self._items, "aclose"):
                self._loop.run_until_complete(self._items.aclose())
        finally:
            self._loop.close()
