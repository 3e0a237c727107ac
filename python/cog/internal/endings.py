"""Says in bounded words how user code ended."""

from __future__ import annotations

import os

_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep

_MAX_ERROR = 16 << 10
_MAX_TRACE = 64 << 10


def describe(error: BaseException) -> str:
    """What the error says, or its kind when it says nothing. Never raises."""
    if isinstance(error, SystemExit):
        return f"the model called sys.exit({error.code!r:.200})"
    try:
        text = str(error)
    except BaseException:  # a __str__ of the model's own can do anything
        text = ""
    return _cut(text, _MAX_ERROR) if text else type(error).__name__


def trace(error: BaseException) -> str | None:
    """The traceback for the logs, from the first line of user code on."""
    import traceback  # only errors need it

    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename.startswith(_HERE):
        frames = frames.tb_next
    try:
        return _cut("".join(traceback.format_exception(type(error), error, frames)), _MAX_TRACE)
    except BaseException:  # again its __str__, or its __cause__'s
        return "".join(traceback.format_tb(frames)) + type(error).__name__ + "\n"


def _cut(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    return f"{text[:limit]}… ({len(text) - limit} more characters)\n"
