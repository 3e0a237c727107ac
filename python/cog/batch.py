"""Dynamic batching: one call of the model answers several predictions."""

from __future__ import annotations

from typing import Any, Callable, NamedTuple, TypeVar

_F = TypeVar("_F", bound=Callable[..., Any])


class Batching(NamedTuple):
    """The arguments of ``@batch``, as a function's attribute has them."""

    max_size: int
    max_wait: float  # in seconds
    share_logs: bool = False


def batch(
    *wrong: Any, max_size: int = 16, max_wait_ms: float = 5, share_logs: bool = False
) -> Callable[[_F], _F]:
    """Call a method with up to ``max_size`` predictions at once, waiting for others up to
    ``max_wait_ms`` milliseconds after the first::

        class Predictor(BasePredictor):
            @batch(max_size=16, max_wait_ms=5)
            def predict(self, prompt: list[str]) -> list[str]:
                return ["hello " + p for p in prompt]

    Each input is a list with one value for each prediction, and the result is a list with one
    output for each, in the same order. Clients see a model of one item: for them, ``prompt`` is a
    string. An exception in the list makes its own prediction fail; an exception that is raised
    makes all of them fail.

    The text that a call for several predictions prints, and the text of an exception that it
    raises, may be about any of them. So it goes to the server's log alone. With ``share_logs`` it
    goes to each of them, and clients may then see each other's data.

    Raises ValueError or TypeError for wrong arguments. ``max_size`` is at least 1, and
    ``max_wait_ms`` is from 0 to 60000.
    """
    if wrong:
        raise TypeError("@batch needs parentheses: write @batch(max_size=16)")
    if isinstance(max_size, bool) or not isinstance(max_size, int) or max_size < 1:
        raise ValueError(
            f"@batch(max_size={max_size!r}): max_size must be an integer of at least 1"
        )
    if (
        isinstance(max_wait_ms, bool)
        or not isinstance(max_wait_ms, (int, float))
        or not 0 <= max_wait_ms <= 60_000
    ):
        raise ValueError(
            f"@batch(max_wait_ms={max_wait_ms!r}): max_wait_ms must be a number from 0 to 60000"
        )

    if not isinstance(share_logs, bool):
        raise TypeError(f"@batch(share_logs={share_logs!r}): share_logs must be True or False")

    def mark(function: _F) -> _F:
        batching = Batching(max_size, max_wait_ms / 1000, share_logs)
        function.__cog_batch__ = batching  # type: ignore[attr-defined]
        return function

    return mark


__all__ = ["Batching", "batch"]
