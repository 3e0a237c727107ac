"""Describes the exceptions of user code in bounded text. Functions here do not raise, whatever the
exception does.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any, Callable, NoReturn

from cog.internal.pristine import builtins as __builtins__  # noqa: F401
from cog.internal.pristine import os

_HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep

#: The beginnings of the names of our own files, and of those of Python's import system.
_NOT_OF_USERS = (_HERE, "<frozen importlib")

_MAX_ERROR = 16 << 10
_MAX_TRACE = 64 << 10

_text_of = str.__str__
_frames_of = BaseException.__dict__["__traceback__"].__get__
_name_of: Callable[[type], str] = type.__dict__["__name__"].__get__


def describe(error: BaseException) -> str:
    """Return the text of an exception, or the name of its class if the text is empty."""
    kind = _name_of(type(error))
    try:
        if is_a(error, SystemExit):
            return f"the model called sys.exit({error.code!r:.200})"  # type: ignore[attr-defined]
        refused = refusals(error)
        # _text_of returns the plain string of a subclass of str.
        text = _title(error) + refused if refused else _text_of(str(error))
    except BaseException:  # a method of the model can raise anything
        text = "the model called sys.exit()" if is_a(error, SystemExit) else ""
    return _cut(text, _MAX_ERROR) if text else kind


def refusals(error: BaseException) -> str | None:
    """Return the places and reasons of a refusal by pydantic 1 or 2, or None for any other
    exception. They replace the exception's own text, which quotes the input with its secrets.
    """
    kind = type(error)
    if kind.__name__ != "ValidationError" or not kind.__module__.startswith("pydantic"):
        return None
    tell: Any = getattr(error, "errors")  # noqa: B009 - not every exception has it
    try:
        found = tell(include_url=False, include_context=False, include_input=False)
    except TypeError:  # version 1, which does not include the input
        found = tell()
    return "; ".join(
        ": ".join(part for part in (_place(e["loc"]), e["msg"]) if part) for e in found
    )


def _title(error: Any) -> str:
    """Return the name of the pydantic model that refuses, as the beginning of a text."""
    title = getattr(error, "title", None) or getattr(
        getattr(error, "model", None), "__name__", None
    )
    return f"{title}: " if isinstance(title, str) else ""


def _place(steps: Any) -> str:
    return ".".join(str(step) for step in steps if step != "__root__")


def is_a(error: BaseException, kind: type[BaseException] | tuple[type[BaseException], ...]) -> bool:
    """Return isinstance(error, kind) for an exception that may lie about its class."""
    return issubclass(type(error), kind)


def trace(error: BaseException) -> str | None:
    """Return the traceback for the logs, from the first line of user code on, with a remedy if
    there is one. Returns None if it cannot be made.
    """
    frames = user_frames(error)
    try:
        import traceback  # only errors need it

        from cog.internal.contract.remedies import remedy

        told = traceback.TracebackException(type(error), error, frames)
        _without_inputs(told, error)
        text = _cut("".join(told.format()), _MAX_TRACE)
        return text + remedy(error, text)
    except BaseException:  # its __str__ or that of its __cause__ raises, or traceback was replaced
        pass
    try:
        return _cut("".join(traceback.format_tb(frames)), _MAX_TRACE) + _name_of(type(error)) + "\n"
    except BaseException:
        return None


def _without_inputs(told: Any, error: BaseException | None) -> None:
    """Replace the text of pydantic's refusals, in a traceback and in its causes, by that of
    `refusals`.
    """
    if told is None or error is None:
        return
    text = refusals(error)
    if text is not None:
        told._str = _title(error) + text  # all versions of Python read the text from here
    _without_inputs(told.__cause__, error.__cause__)
    _without_inputs(told.__context__, error.__context__)
    for inner, one in zip(
        getattr(told, "exceptions", None) or (), getattr(error, "exceptions", ())
    ):
        _without_inputs(inner, one)


def user_frames(error: BaseException) -> TracebackType | None:
    """Return the traceback from the first line of user code on."""
    frames: TracebackType | None = _frames_of(error)
    while frames is not None and frames.tb_frame.f_code.co_filename.startswith(_NOT_OF_USERS):
        frames = frames.tb_next
    return frames


def leave_fork(error: BaseException | None) -> NoReturn:
    """End a forked child that has returned from user code. It is not the runner, so it must neither
    answer nor take requests. Its exit status is the one that Python itself would use.
    """
    code: object = 0
    if error is not None:
        code = getattr(error, "code", 1) if is_a(error, SystemExit) else 1
        if code == 1:
            os.write(2, (trace(error) or "").encode("utf-8", "backslashreplace"))
    os._exit(code & 0xFF if isinstance(code, int) else 0 if code is None else 1)


def _cut(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    return f"{text[:limit]}… ({len(text) - limit} more characters)\n"
