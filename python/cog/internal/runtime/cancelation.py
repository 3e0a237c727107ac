"""How a cancel is noticed. It reaches synchronous code as an exception in the main thread, raised
by a signal handler.
"""

from __future__ import annotations

# What is under the module signal, which makes enums of numbers: that would be 10 microseconds of
# each prediction.
import _signal  # type: ignore[import-not-found]
from types import FrameType, TracebackType
from typing import Callable

from cog.errors import CancelationException
from cog.internal.pristine import builtins as __builtins__  # noqa: F401

_handle, _sigmask = _signal.signal, _signal.pthread_sigmask
_SIGUSR1, _SIG_UNBLOCK = _signal.SIGUSR1, _signal.SIG_UNBLOCK


class Doorbell:
    """SIGUSR1 from the server says: look whether the current prediction is canceled.

    The exception is raised only inside ``with``, which surrounds user code alone, and at most once
    for a prediction, so that the model's own clean-up is not interrupted. A model may take the
    signal or block it: then the bell may have rung unheard, and the next time it looks once without
    having heard it.
    """

    def __init__(self) -> None:
        self._canceled: Callable[[], bool] = _never
        self._armed = False
        self._rung = False
        self.raised = False
        self.listen()

    def listen(self) -> None:
        """Be able to hear, whatever the model has done to the signal: after setup and each
        prediction, when nobody waits.
        """
        self._take()
        _sigmask(_SIG_UNBLOCK, (_SIGUSR1,))
        self._listening = True

    def _take(self) -> None:
        if _handle(_SIGUSR1, self._ring) != self._ring:
            self._rung = True

    def ring(self) -> None:
        """There is a cancel file that the bell may not have rung for: it was there before the
        request.
        """
        self._rung = True

    def begin(self, canceled: Callable[[], bool]) -> None:
        """A new prediction; ``canceled`` looks for its cancel file."""
        self._canceled = canceled
        self.raised = False

    def end(self) -> None:
        """No prediction runs."""
        self._canceled = _never
        self.listen()

    def __enter__(self) -> None:
        if not self._listening:  # the model has run since
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


#: So many cancels of unknown predictions are kept before those are forgotten whose file has gone.
_KEPT = 256


class Early:
    """Cancels of predictions whose request has not been seen. Most are late in truth: the
    prediction has ended. So the file decides, but it is looked for only where there was one: a look
    costs each prediction a system call.
    """

    def __init__(self, canceled: Callable[[str], bool]) -> None:
        self._canceled = canceled
        self._ids: set[str] = set()

    def note(self, fid: str) -> None:
        """There was a cancel file."""
        if len(self._ids) >= _KEPT:
            self._ids = {known for known in self._ids if self._canceled(known)}
        self._ids.add(fid)

    def pop(self, fid: str) -> bool:
        """Whether the prediction that is about to run is canceled already."""
        if fid not in self._ids:
            return False
        self._ids.discard(fid)
        return self._canceled(fid)
