"""The inputs of a method: what its signature and its `Input` calls say, checked when the model is loaded."""

from __future__ import annotations

import enum
import math
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from cog.errors import InputError
from cog.input import UNSET, FieldInfo
from cog.internal import own_builtins as __builtins__  # type: ignore[no-redef]  # noqa: F401
from cog.internal.kinds import (
    STARS,
    Anything,
    Boolean,
    Choice,
    Files,
    Integer,
    Kind,
    ListOf,
    Mismatch,
    Nullable,
    OneOf,
    PathKind,
    SecretKind,
    Text,
)
from cog.internal.records import is_json

_BOUNDS = ("ge", "le")
_LENGTHS = ("min_length", "max_length")
_IMMUTABLE = frozenset((str, int, float, bool))


#: Secrets of so many characters are masked only where they stand alone.
_SHORT = 3


class Problem(Exception):
    """What is wrong with an input, and the remedy."""


class Field(NamedTuple):
    """One input of a method."""

    name: str
    kind: Kind
    info: FieldInfo
    choices: list[Any] | None  # plain values
    pattern: Any | None  # compiled

    @property
    def required(self) -> bool:
        """Whether a request has to give it; an Optional without default may be left out and is None then."""
        nothing = self.info.default is UNSET and self.info.default_factory is None
        return nothing and not isinstance(self.kind, Nullable)

    def default(self) -> Any:
        """The default, a copy for each prediction."""
        if self.info.default_factory is not None:
            return self.info.default_factory()
        value = None if self.info.default is UNSET else self.info.default
        if isinstance(value, enum.Enum) and isinstance(_element(self.kind), Text):
            return value.value
        if isinstance(value, str) and isinstance(self.kind, PathKind) and "://" not in value:
            return self.kind.check(value)  # a file of the model, named by a text
        if value is None or type(value) in _IMMUTABLE:
            return value
        from copy import deepcopy  # few defaults need it

        return deepcopy(value)

    def decode(self, value: Any, files: Files) -> Any:
        """The argument for a JSON value; raises Mismatch."""
        decoded = self.kind.decode(value, files)
        self.check(decoded)
        return decoded

    def check(self, value: Any) -> None:
        """Raise Mismatch when a value breaks what Input() says."""
        if value is None:
            return
        info = self.info
        if isinstance(value, list):
            _length(info, len(value), "item")
            for i, item in enumerate(value):
                try:
                    self._check_one(item)
                except Mismatch as error:
                    raise error.inside(f"[{i}]") from None
            return
        if isinstance(value, str):
            _length(info, len(value), "character")
        self._check_one(value)

    def _check_one(self, value: Any) -> None:
        info = self.info
        if info.ge is not None and value is not None and value < info.ge:
            raise Mismatch(f"must be at least {info.ge}")
        if info.le is not None and value is not None and value > info.le:
            raise Mismatch(f"must be at most {info.le}")
        if self.pattern is not None and isinstance(value, str) and not self.pattern.search(value):
            raise Mismatch(f"must match the pattern {info.regex}")
        if self.choices is not None and getattr(value, "value", value) not in self.choices:
            raise Mismatch("must be one of: " + ", ".join(map(str, self.choices)))


def _length(info: FieldInfo, length: int, unit: str) -> None:
    if info.min_length is not None and length < info.min_length:
        raise Mismatch(f"must have at least {info.min_length} {unit}s, has {length}")
    if info.max_length is not None and length > info.max_length:
        raise Mismatch(f"must have at most {info.max_length} {unit}s, has {length}")


def _element(kind: Kind) -> Kind:
    """What ranges and choices are about: the items of a list, the type inside an Optional."""
    while True:
        if isinstance(kind, Nullable):
            kind = kind.inner
        elif isinstance(kind, ListOf):
            kind = kind.item
        else:
            return kind


def read_field(name: str, kind: Kind, default: Any) -> Field:
    """Make a Field of a parameter; raises Problem when what it says contradicts itself."""
    info = default if isinstance(default, FieldInfo) else _bare(default)
    if info.default is not UNSET and info.default_factory is not None:
        raise Problem("has default and default_factory: give only one of them")
    if info.default_factory is not None and not callable(info.default_factory):
        raise Problem("default_factory must be a function")
    if info.description is not None and not isinstance(info.description, str):
        raise Problem(f"description must be a text, not {info.description!r}")
    if info.accept is not None and not isinstance(info.accept, str):
        raise Problem(f"accept must be a text such as 'image/*,.pdf', not {info.accept!r}")
    _check_bounds(info, kind)
    pattern = _check_text(info, kind)
    choices = _check_choices(info, kind)
    field = Field(name, kind, info, choices, pattern)
    _check_default(field)
    return field


def _bare(default: Any) -> FieldInfo:
    return FieldInfo(default)


def _check_bounds(info: FieldInfo, kind: Kind) -> None:
    for name in _BOUNDS:
        bound = getattr(info, name)
        if bound is None:
            continue
        if isinstance(bound, bool) or not isinstance(bound, (int, float)):
            raise Problem(f"{name}={bound!r} must be a number")
        if not -math.inf < bound < math.inf:
            raise Problem(f"{name}={bound!r} must be a finite number: leave it out where there is no bound")
        if not _element(kind).is_number or isinstance(_element(kind), Choice):
            raise Problem(f"{name}={bound!r} needs an int or float input, this is {kind.text}")
        if info.choices is not None:
            raise Problem(f"choices and {name} exclude each other: leave one out")
    if info.ge is not None and info.le is not None and info.ge > info.le:
        raise Problem(f"ge={info.ge!r} is greater than le={info.le!r}: no number fits")


def _check_text(info: FieldInfo, kind: Kind) -> Any | None:
    for name in _LENGTHS:
        length = getattr(info, name)
        if length is None:
            continue
        if isinstance(length, bool) or not isinstance(length, int) or length < 0:
            raise Problem(f"{name}={length!r} must be a whole number of at least 0")
        outer = kind.inner if isinstance(kind, Nullable) else kind
        if not isinstance(outer, (Text, ListOf, SecretKind)):
            raise Problem(f"{name}={length!r} needs a str or list input, this is {kind.text}")
    if info.min_length is not None and info.max_length is not None and info.min_length > info.max_length:
        raise Problem(f"min_length={info.min_length} is greater than max_length={info.max_length}: no value fits")
    if info.regex is None:
        return None
    if not isinstance(info.regex, str):
        raise Problem(f"regex={info.regex!r} must be a text")
    if not isinstance(_element(kind), (Text, SecretKind)):
        raise Problem(f"regex={info.regex!r} needs a str input, this is {kind.text}")
    try:
        return re.compile(_strict_end(info.regex))
    except re.error as error:
        place = "" if error.pos is None else f" at position {error.pos}"
        raise Problem(f"regex={info.regex!r} is no regular expression: {error.msg}{place}") from None


def _strict_end(pattern: str) -> str:
    """``$`` means the very end, as in JSON Schema, and not also the place before a last newline."""
    out, escaped, inside = [], False, False
    for c in pattern:
        if escaped:
            escaped = False
        elif c == "\\":
            escaped = True
        elif c == "[":
            inside = True
        elif c == "]":
            inside = False
        elif c == "$" and not inside:
            c = "\\Z"
        out.append(c)
    return "".join(out)


def _check_choices(info: FieldInfo, kind: Kind) -> list[Any] | None:
    if info.choices is None:
        return None
    if isinstance(info.choices, (str, bytes)) or not hasattr(info.choices, "__iter__"):
        raise Problem(f"choices={info.choices!r} must be a list")
    values = [_plain_choice(choice) for choice in info.choices]
    if not values:
        raise Problem("choices is empty: give at least one value, or leave it out")
    element = _element(kind)
    want = str if isinstance(element, Text) else int if isinstance(element, Integer) else None
    if want is None:
        raise Problem(f"choices needs a str or int input, this is {kind.text}")
    for value in values:
        if type(value) is not want:
            raise Problem(f"choices has {value!r}, which is {type(value).__name__}, but the input is {want.__name__}")
    if len(set(values)) < len(values):
        raise Problem(f"choices has a value twice: {values!r}")
    return values


def _plain_choice(choice: Any) -> Any:
    if isinstance(choice, enum.Enum):
        if not isinstance(choice, (str, int)):
            raise Problem(f"the choice {choice!r} is an Enum that must also extend str or int")
        return choice.value
    return choice


def _check_default(field: Field) -> None:
    if field.required:
        return
    if field.info.default_factory is not None:
        try:
            value = field.info.default_factory()
        except Exception as error:
            raise Problem(f"default_factory raises {type(error).__name__}: {error}") from None
    else:
        value = field.info.default
    if value is None or value is UNSET:
        return  # an input that may be left out; the model gets None
    shown = "the default" if isinstance(_element(field.kind), SecretKind) else f"default={value!r:.80}"
    try:
        field.check(_default_of_kind(field.kind, value))
    except Mismatch as error:
        raise Problem(f"{shown}{' at ' + error.where if error.where else ''} does not fit: {error.text}") from None
    if not is_json(field.kind.jsonable(value)):
        raise Problem(f"{shown} has no form in JSON: use None, and make it in the method")


def _default_of_kind(kind: Kind, value: Any) -> Any:
    """Check the type of a default; unlike a request it is a Python value, and nothing is made of text."""
    if isinstance(kind, Nullable):
        return None if value is None else _default_of_kind(kind.inner, value)
    if isinstance(kind, ListOf):
        if not isinstance(value, (list, tuple)):
            raise Mismatch(f"expected a list, got {value!r:.60}")
        out = []
        for i, item in enumerate(value):
            try:
                out.append(_default_of_kind(kind.item, item))
            except Mismatch as error:
                raise error.inside(f"[{i}]") from None
        return out
    if isinstance(kind, PathKind):
        if not isinstance(value, (str, os.PathLike)) and not hasattr(value, "read"):
            raise Mismatch(f"expected a path, got {value!r:.60}")
        return value
    if isinstance(kind, SecretKind):
        if not isinstance(value, str) and not hasattr(value, "get_secret_value"):
            raise Mismatch("expected a text")
        return value if isinstance(value, str) else value.get_secret_value()
    if isinstance(kind, OneOf):
        return _first_fit(kind, value)
    if isinstance(kind, (Boolean, Integer)) and isinstance(value, str):
        raise Mismatch(f"expected {kind.text}, got {value!r:.60}")
    if isinstance(kind, Boolean) and not isinstance(value, bool):
        raise Mismatch(f"expected a boolean, got {value!r:.60}")
    if isinstance(value, str) and kind.is_number:
        raise Mismatch(f"expected {kind.text}, got {value!r:.60}")
    if isinstance(kind, Anything):
        return value
    if isinstance(value, enum.Enum):
        return value.value
    return kind.check(value)


def _first_fit(kind: OneOf, value: Any) -> Any:
    for member in kind.members:
        try:
            return _default_of_kind(member, value)
        except Mismatch:
            continue
    raise Mismatch(f"expected {kind.text}, got {value!r:.60}")


def masked(text: str, hidden: Iterable[str]) -> str:
    """A text without the secrets that the author's own code, which refused them, may have put into it."""
    for secret in sorted(set(hidden), key=len, reverse=True):
        for form in (secret, repr(secret)[1:-1]):
            if len(form) > _SHORT:
                text = text.replace(form, STARS)
            elif form.strip():  # not within a word of the author's
                text = re.sub(rf"(?<!\w){re.escape(form)}(?!\w)", STARS, text)
    return text


def decode_all(fields: list[Field], values: Mapping[str, Any], files: Mapping[str, str]) -> dict[str, Any]:
    """The arguments of a call. Raises InputError that names every bad field."""
    arguments, wrong = {}, []
    for field in fields:
        try:
            if field.name in values:
                arguments[field.name] = field.decode(values[field.name], Files(files).at(field.name))
            elif field.required:
                wrong.append(f"{field.name}: field required")
            else:
                arguments[field.name] = field.default()
        except Mismatch as error:
            wrong.append(f"{field.name}{error.where}: {masked(error.text, field.kind.hidden(values[field.name]))}")
    if wrong:
        raise InputError("; ".join(wrong))
    return arguments
