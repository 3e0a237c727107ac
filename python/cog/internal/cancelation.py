"""How a cancel reaches synchronous user code: an exception in the main thread, raised by a signal handler."""

from __future__ import annotations

# What is under the module signal, which makes enums of numbers: that would be 10 microseconds of each prediction.
import _signal  # type: ignore[import-not-found]
from types import FrameType, TracebackType
from typing import Callable

from cog.errors import CancelationException
from cog.internal import own_builtins as __builtins__  # type: ignore[no-redef]  # noqa: F401

_handle, _sigmask = _signal.signal, _signal.pthread_sigmask
_SIGUSR1, _SIG_UNBLOCK = _signal.SIGUSR1, _signal.SIG_UNBLOCK


class Doorbell:
    """SIGUSR1 from the server says: look whether the current prediction is canceled.

    The exception is raised only inside ``with``, which surrounds user code alone, and at most once for a prediction, so that
    the model's own clean-up is not interrupted. The handler is installed anew each time: a model may have taken the signal, or
    blocked it.
    """

    def __init__(self) -> None:
        self._canceled: Callable[[], bool] = _never
        self._armed = False
        self._rung = False
        self.raised = False
        _handle(_SIGUSR1, self._ring)

    def begin(self, canceled: Callable[[], bool]) -> None:
        """A new prediction; ``canceled`` looks for its cancel file."""
        self._canceled = canceled
        _sigmask(_SIG_UNBLOCK, (_SIGUSR1,))
        self._rung = True  # the bell may have rung before anyone listened: look once
        self.raised = False

    def end(self) -> None:
        """No prediction runs."""
        self._canceled = _never

    def __enter__(self) -> None:
        _handle(_SIGUSR1, self._ring)
        self._armed = True
        if self._rung:
            self._look()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._armed = False

    def _ring(self, number: int, frame: FrameType | None) -> None:
        self._rung = True
        if self._armed:
            self._look()

    def _look(self) -> None:
        self._rung = False
        if not self.raised and self._canceled():
            self.raised = True
            self._armed = False
            raise CancelationException("the prediction was canceled")


def _never() -> bool:
    return False
