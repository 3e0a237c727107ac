"""The inputs of a method, as its signature and its `Input` calls declare them. They are checked
when the model is loaded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Callable, NamedTuple

from cog.errors import InputError
from cog.input import UNSET, FieldInfo
from cog.internal.contract.containers import ListOf, Nullable, nullable
from cog.internal.contract.kinds import STARS, Files, Kind, Mismatch, SecretKind, plain
from cog.internal.contract.records import is_json
from cog.internal.contract.rules import Problem, Rules, Warn, read_rules
from cog.internal.pristine import builtins as __builtins__  # noqa: F401
from cog.internal.pristine import json, os, re

_IMMUTABLE = frozenset((str, int, float, bool, type(None)))


#: Characters: a secret that is not longer is masked only where it stands alone.
_SHORT = 3


class Absent:
    """The argument for an input that a request omits: ``value``, or a new result of ``make`` for
    each prediction. ``shown`` is its form in the schema; UNSET if the schema omits it.
    """

    __slots__ = ("make", "shown", "value")

    def __init__(
        self, value: Any, shown: Any = UNSET, make: Callable[[], Any] | None = None
    ) -> None:
        self.value = value
        self.shown = shown
        self.make = make

    def get(self) -> Any:
        """Return the argument for one prediction, which may change it."""
        return self.value if self.make is None else self.make()


class Field(NamedTuple):
    """One input of a method. ``absent`` is None if a request must give it."""

    name: str
    kind: Kind
    info: FieldInfo
    rules: Rules | None
    absent: Absent | None

    @property
    def required(self) -> bool:
        """Whether a request must give it. An Optional without a default may be omitted, and is then
        None.
        """
        return self.absent is None

    def decode(self, value: Any, files: Files) -> Any:
        """Return the argument for a JSON value. Raises Mismatch."""
        decoded = self.kind.decode(value, files)
        if self.rules is not None:
            self.rules.check(decoded)
        return decoded


def read_field(name: str, kind: Kind, default: Any, warn: Warn) -> Field:
    """Make a Field of a parameter. Raises Problem if it cannot work as it is written, and warns if
    it is odd but works.
    """
    info = default if isinstance(default, FieldInfo) else FieldInfo(default)
    if info.default is not UNSET and info.default_factory is not None:
        raise Problem("has default and default_factory: give only one of them")
    if info.default_factory is not None and not callable(info.default_factory):
        raise Problem("default_factory must be a function")
    if info.description is not None and not isinstance(info.description, str):
        raise Problem(f"description must be a string, not {info.description!r}")
    if info.accept is not None and not isinstance(info.accept, str):
        raise Problem(f"accept must be a string such as 'image/*,.pdf', not {info.accept!r}")
    if info.accept is not None and not _holds_files(kind.schema()):
        warn(
            f"accept={info.accept!r} applies to files, but this is {kind.text}:"
            " it has no effect, leave it out or use Path"
        )
    null: Any = UNSET
    if info.default is None:
        if isinstance(kind, SecretKind):  # because a form cannot show another default
            null = None
        kind = nullable(kind)  # because clients send null for an empty field
    rules = read_rules(info, kind, warn)
    absent = Absent(None, null) if info.default is None else _read_absent(info, kind, rules, warn)
    return Field(name, kind, info, rules, absent)


def _holds_files(schema: Any) -> bool:
    return _any_in(schema, lambda part: part.get("format") == "uri")


def _holds_secrets(schema: Any) -> bool:
    return _any_in(
        schema, lambda part: bool(part.get("x-cog-secret") or part.get("format") == "password")
    )


def _any_in(schema: Any, is_it: Callable[[Mapping[str, Any]], bool]) -> bool:
    """Whether ``is_it`` is true of a schema, or of one in it."""
    if isinstance(schema, dict):
        return is_it(schema) or any(_any_in(part, is_it) for part in schema.values())
    return isinstance(schema, list) and any(_any_in(part, is_it) for part in schema)


def _read_absent(info: FieldInfo, kind: Kind, rules: Rules | None, warn: Warn) -> Absent | None:
    factory = info.default_factory
    if factory is not None:
        try:
            value = factory()
        except Exception as error:
            raise Problem(f"default_factory raises {type(error).__name__}: {error}") from None
        shown = _default(value, kind, rules, warn).shown
        return Absent(None, shown, lambda: _of_factory(kind, factory()))
    if info.default is UNSET:
        return Absent(None) if isinstance(kind, Nullable) else None
    return _default(info.default, kind, rules, warn)


def _default(written: Any, kind: Kind, rules: Rules | None, warn: Warn) -> Absent:
    """Read a default. One that does not fit is passed to the model as it is, because models use
    values that a request cannot send to mark an input that was left out.
    """
    if written is None:
        return Absent(None)
    made, misfit = _converted(kind, written)
    converted = misfit is None
    if converted and rules is not None:
        try:
            rules.check(made)
        except Mismatch as error:
            misfit = error
    secret = _holds_secrets(kind.schema())
    told = "the default" if secret else f"default={written!r:.80}"
    if misfit is not None:
        place = f" at {misfit.where}" if misfit.where else ""
        reason = "" if secret else f": {misfit.text}"
        warn(
            f"{told}{place} does not fit{reason}. The model gets it as it is, and a request cannot"
            " send it: write a default that fits, or None"
        )
    shown = _shown(kind, made, written, converted, told)
    if type(made) in _IMMUTABLE:
        return Absent(made, shown)
    fresh = kind.fresh if converted else Kind().fresh
    return Absent(made, shown, lambda: fresh(made))


def _of_factory(kind: Kind, written: Any) -> Any:
    made, misfit = _converted(kind, written)
    return kind.fresh(made) if misfit is None else written


def _converted(kind: Kind, written: Any) -> tuple[Any, Mismatch | None]:
    """Return the argument that the default would become if a request sent it. If a request cannot
    send it, return the default itself and the reason.
    """
    try:
        return kind.default(written), None
    except Mismatch as error:
        return written, error


def _shown(kind: Kind, made: Any, written: Any, converted: bool, told: str) -> Any:
    """Return a default as the schema shows it, or UNSET if the schema omits it."""
    secret = _holds_secrets(kind.schema())
    if secret and not converted:  # not shown, unless it is empty
        return "" if written == "" else UNSET
    if _is_secret(kind):
        shown = kind.jsonable(made)
        return UNSET if _veiled(shown) else shown
    shown = (
        kind.jsonable(written if isinstance(written, dict) else made)
        if converted
        else plain(written)
    )
    if is_json(shown):
        return UNSET if secret and shown == written and any(kind.hidden(written)) else shown
    if secret:
        return UNSET
    try:
        shown = json.loads(json.dumps(written, default=_named))
    except (TypeError, ValueError, RecursionError):
        raise Problem(
            f"{told} has no form in JSON: use None, and make the value in the method"
        ) from None
    return shown if is_json(shown) else UNSET  # JSON has neither NaN nor infinity


def _veiled(shown: Any) -> bool:
    """Whether a default contains a secret that is not empty."""
    return any(map(_veiled, shown)) if isinstance(shown, list) else bool(shown == STARS)


def _named(value: Any) -> Any:
    """Return the JSON form of a path, which is its string, or of a member of an Enum, which is its
    value. Raises TypeError for other values.
    """
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    found = plain(value)
    if found is value:
        raise TypeError
    return found


def _is_secret(kind: Kind) -> bool:
    while isinstance(kind, (Nullable, ListOf)):
        kind = kind.inner if isinstance(kind, Nullable) else kind.item
    return isinstance(kind, SecretKind)


def masked(text: str, hidden: Iterable[str]) -> str:
    """Return the message ``text`` with its secrets masked, because code of the author that refuses
    a secret may quote it.
    """
    for secret in sorted(set(hidden), key=len, reverse=True):
        for form in (secret, repr(secret)[1:-1]):
            if len(form) > _SHORT:
                text = text.replace(form, STARS)
            elif form.strip():  # not inside a longer word of the author's message
                text = re.sub(rf"(?<!\w){re.escape(form)}(?!\w)", STARS, text)
    return text


def decode_all(
    fields: list[Field], values: Mapping[str, Any], files: Mapping[str, str]
) -> dict[str, Any]:
    """Return the arguments of a call. Raises InputError that names every invalid field."""
    arguments, wrong = {}, []
    for field in fields:
        try:
            if field.name in values:
                arguments[field.name] = field.decode(
                    values[field.name], Files(files).at(field.name)
                )
            elif field.absent is None:
                wrong.append(f"{field.name}: Field required")
            else:
                arguments[field.name] = field.absent.get()
        except Mismatch as error:
            text = masked(error.text, field.kind.hidden(values[field.name]))
            wrong.append(f"{field.name}{error.where}: {text}")
    if wrong:
        raise InputError("; ".join(wrong))
    return arguments
