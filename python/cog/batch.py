"""Dynamic batching: predictions that run at once are answered by one call of the model."""

from __future__ import annotations

from typing import Any, Callable, NamedTuple, TypeVar

_F = TypeVar("_F", bound=Callable[..., Any])


class Batching(NamedTuple):
    """What ``@batch`` says of a function."""

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

    Each input is a list with one value for each prediction, and so is what is returned. Clients see
    a model of one item: ``prompt`` is a string for them. An exception in the list fails its own
    prediction, one that is raised fails them all.

    What a call for several predictions prints, and the text of an exception that it raises, may be
    of any of them and goes to the server's log alone. With ``share_logs`` it goes to each of them,
    where they may see each other's data.
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
        function.__cog_batch__ = Batching(max_size, max_wait_ms / 1000, share_logs)  # type: ignore[attr-defined]
        return function

    return mark


__all__ = ["Batching", "batch"]
