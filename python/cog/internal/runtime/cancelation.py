"""Notices cancels. A signal handler raises an exception in the main thread, which interrupts
synchronous code.
"""

from __future__ import annotations

# The C module below the module signal, which turns numbers into enums: that would cost each
# prediction 10 microseconds.
import _signal  # type: ignore[import-not-found]
from types import FrameType, TracebackType
from typing import Callable

from cog.errors import CancelationException
from cog.internal.pristine import builtins as __builtins__  # noqa: F401

_handle, _sigmask = _signal.signal, _signal.pthread_sigmask
_SIGUSR1, _SIG_UNBLOCK = _signal.SIGUSR1, _signal.SIG_UNBLOCK


class Doorbell:
    """The signal SIGUSR1, by which the server asks the runner to check whether the current
    prediction is canceled.

    The handler raises its exception only inside ``with``, which surrounds user code alone. It
    raises at most once for a prediction, so that it does not interrupt the model's own clean-up. A
    model may replace the handler or block the signal, and then a signal may have been lost. So the
    next ``with`` checks once without one.
    """

    def __init__(self) -> None:
        self._canceled: Callable[[], bool] = _never
        self._armed = False
        self._rung = False
        self.raised = False
        self.listen()

    def listen(self) -> None:
        """Install the handler and unblock the signal, whatever the model has done to them. Called
        after setup and after each prediction, when no client waits for it.
        """
        self._take()
        _sigmask(_SIG_UNBLOCK, (_SIGUSR1,))
        self._listening = True

    def _take(self) -> None:
        if _handle(_SIGUSR1, self._ring) != self._ring:
            self._rung = True

    def ring(self) -> None:
        """Check at the next ``with``, because there is a cancel file. It may have come before the
        request, so its signal may have been missed.
        """
        self._rung = True

    def begin(self, canceled: Callable[[], bool]) -> None:
        """Begin a prediction; ``canceled`` returns whether its cancel file exists."""
        self._canceled = canceled
        self.raised = False

    def end(self) -> None:
        """End the prediction, and install the handler again."""
        self._canceled = _never
        self.listen()

    def __enter__(self) -> None:
        # the model has run since `listen`, and may have replaced the handler
        if not self._listening:
            self._take()
        self._listening = False
        self._armed = True
        if self._rung:
            self._look()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
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


#: The number of cancels of unknown predictions that are kept. At this number, those whose file has
#: been removed are forgotten.
_KEPT = 256


class Early:
    """Remembers cancels of predictions whose request it has not seen. Most of these predictions
    have already ended, so the cancel file decides. It is looked for only where there was one,
    because that costs a system call.
    """

    def __init__(self, canceled: Callable[[str], bool]) -> None:
        self._canceled = canceled
        self._ids: set[str] = set()

    def note(self, fid: str) -> None:
        """Remember a cancel file."""
        if len(self._ids) >= _KEPT:
            self._ids = {known for known in self._ids if self._canceled(known)}
        self._ids.add(fid)

    def pop(self, fid: str) -> bool:
        """Forget the cancel of a prediction that is about to run, and return whether it is
        canceled.
        """
        if fid not in self._ids:
            return False
        self._ids.discard(fid)
        return self._canceled(fid)
