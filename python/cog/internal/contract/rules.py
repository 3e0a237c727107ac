"""The rules of `Input` for a value, apart from its type. They are read when the model is loaded,
and checked for each request.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from typing import Any, Callable

from cog.input import FieldInfo
from cog.internal.contract.containers import ListOf, Nullable
from cog.internal.contract.kinds import Integer, Kind, Mismatch, Schema, SecretKind, Text, plain
from cog.internal.pristine import builtins as __builtins__  # noqa: F401
from cog.internal.pristine import math, re

#: The arguments of `Input` that are rules, apart from choices, with their keywords in a schema. A
#: list has other keywords for its lengths than a string.
_BOUNDS = {"ge": "minimum", "le": "maximum"}
_LENGTHS = {"min_length": "minLength", "max_length": "maxLength"}
_COUNTS = {"min_length": "minItems", "max_length": "maxItems"}

Warn = Callable[[str], None]


class Problem(Exception):
    """A problem of an input. The text has the remedy."""


class Rules:
    """The rules of an input that have an effect. None stands for a rule that the author has not
    given. It is a plain class, because making a NamedTuple takes longer than all the rest here.
    """

    __slots__ = ("choices", "ge", "le", "max_length", "min_length", "pattern", "regex")

    ge: int | float | None
    le: int | float | None
    min_length: int | None
    max_length: int | None
    regex: str | None
    pattern: Any | None  # the compiled regex
    choices: list[Any] | None  # plain values

    def __init__(self, said: dict[str, Any]) -> None:
        for name in self.__slots__:
            setattr(self, name, said.get(name))

    def check(self, value: Any) -> None:
        """Raise Mismatch if a value breaks a rule."""
        value = _opened(value)
        if isinstance(value, (str, list)):
            self._length(len(value), "character" if isinstance(value, str) else "item")
        self._check_each(value)

    def _length(self, length: int, unit: str) -> None:
        if self.min_length is not None and length < self.min_length:
            raise Mismatch(f"must have at least {plural(self.min_length, unit)}; got {length}")
        if self.max_length is not None and length > self.max_length:
            raise Mismatch(f"must have at most {plural(self.max_length, unit)}; got {length}")

    def _check_each(self, value: Any) -> None:
        """Check the items of a list, however deep, or a value that is not a list."""
        if not isinstance(value, list):
            self._check_one(value)
            return
        for i, item in enumerate(value):
            try:
                self._check_each(item)
            except Mismatch as error:
                raise error.inside(f"[{i}]") from None

    def _check_one(self, value: Any) -> None:
        value = _opened(value)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            if self.ge is not None and value < self.ge:
                raise Mismatch(f"must be at least {self.ge}")
            if self.le is not None and value > self.le:
                raise Mismatch(f"must be at most {self.le}")
        elif isinstance(value, str) and self.pattern is not None and not self.pattern.search(value):
            raise Mismatch(f"must match the pattern {self.regex}")
        if self.choices is not None and value is not None and value not in self.choices:
            raise Mismatch("must be one of: " + ", ".join(map(str, self.choices)))

    def constrain(self, schema: Schema) -> None:
        """Write the rules into the schema of the input. In a list they are written into the schema
        of the items, and in a Union into those of the members that they apply to.
        """
        for member in schema.get("anyOf", [schema]):
            counts = _COUNTS if member.get("type") == "array" else _LENGTHS
            self._write(member, counts, ("string", "array"))
            for leaf in _innermost(member):
                self._write(leaf, _BOUNDS, ("integer", "number"))
                self._write(leaf, {"regex": "pattern"}, ("string",))
                if self.choices is not None and leaf is not schema:
                    leaf["enum"] = self.choices

    def _write(self, schema: Schema, spelled: dict[str, str], types: tuple[str, ...]) -> None:
        if schema.get("type", types[0]) not in types or schema.get("format") == "uri":
            return
        for name, keyword in spelled.items():
            if getattr(self, name) is not None:
                schema[keyword] = getattr(self, name)


def plural(count: int, noun: str) -> str:
    """Return ``1 item`` or ``2 items``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _opened(value: Any) -> Any:
    """Return the value in a member of an Enum or in a secret, to which rules apply."""
    if isinstance(value, enum.Enum):
        return value.value
    reveal = getattr(value, "get_secret_value", None)
    return value if reveal is None else reveal()


def _innermost(schema: Schema) -> Iterator[Schema]:
    """Yield the schema itself, or those of the items of a list, however deep."""
    items = schema.get("items")
    if not isinstance(items, dict):
        yield schema
        return
    for member in items.get("anyOf", [items]):
        yield from _innermost(member)


def read_rules(info: FieldInfo, kind: Kind, warn: Warn) -> Rules | None:
    """Return the rules of an input, or None if there are none. Raises Problem for rules that no
    value can fit, and warns of rules that have no effect.
    """
    said = {name: getattr(info, name) for name in (*_BOUNDS, *_LENGTHS, "regex", "choices")}
    said = {name: value for name, value in said.items() if value is not None}
    if not said:
        return None
    _check_values(said)
    _leave_out_what_says_nothing(said, kind, warn)
    if "regex" in said:
        said["pattern"] = _compiled(said["regex"])
    if "choices" in said:
        said["choices"] = _choices(said["choices"], kind, warn)
    _compare(said, kind, warn)
    said = {name: value for name, value in said.items() if value is not None}
    return Rules(said) if said else None


def _check_values(said: dict[str, Any]) -> None:
    for name, value in said.items():
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if name in _BOUNDS and not number:
            raise Problem(f"{name}={value!r} must be a number")
        if name in _BOUNDS and (
            math.isnan(value) or value == (math.inf if name == "ge" else -math.inf)
        ):
            raise Problem(f"{name}={value!r} does not allow any number: leave it out")
        if name in _LENGTHS and not (number and isinstance(value, int) and value >= 0):
            raise Problem(f"{name}={value!r} must be an integer of at least 0")
    if not isinstance(said.get("regex", ""), str):
        raise Problem(f"regex={said['regex']!r} must be a string")


def _leave_out_what_says_nothing(said: dict[str, Any], kind: Kind, warn: Warn) -> None:
    """Warn of rules for values that the input cannot have, and drop them."""
    leaves = list(_leaves(kind))
    strings = any(isinstance(leaf, (Text, SecretKind)) or _has_strings(leaf) for leaf in leaves)
    lists = any(isinstance(outer, ListOf) for outer in _outer(kind))
    needs = {
        **dict.fromkeys(_BOUNDS, ("numbers", any(leaf.is_number for leaf in leaves))),
        **dict.fromkeys(_LENGTHS, ("strings and lists", strings or lists)),
        "regex": ("strings", strings),
    }
    for name, (about, has) in needs.items():
        if name in said and not has:
            warn(
                f"{name}={said.pop(name)!r} applies to {about}, but this is {kind.text}:"
                " it has no effect, leave it out"
            )
    for name in _BOUNDS:
        if name in said and math.isinf(said[name]):
            warn(f"{name}={said.pop(name)!r} is not a bound: it has no effect, leave it out")


def _has_strings(kind: Kind) -> bool:
    return any(isinstance(value, str) for value in kind.values or ())


def _outer(kind: Kind) -> list[Kind]:
    """Return the members of a Union, or the type itself in a list. For an Optional, do so for the
    type inside.
    """
    kind = kind.inner if isinstance(kind, Nullable) else kind
    return list(kind.members) or [kind]


def _leaves(kind: Kind) -> Iterator[Kind]:
    """Yield the types to which bounds, patterns and choices apply: the innermost items of a list,
    and each member of a Union.
    """
    for member in _outer(kind):
        if isinstance(member, ListOf):
            yield from _leaves(member.item)
        else:
            yield member


def _compare(said: dict[str, Any], kind: Kind, warn: Warn) -> None:
    """Check the rules against each other."""
    for least, most in (tuple(_BOUNDS), tuple(_LENGTHS)):
        if least in said and most in said and said[least] > said[most]:
            raise Problem(
                f"{least}={said[least]!r} is greater than {most}={said[most]!r}: no value fits"
            )
    others = [name for name in said if name not in ("choices", "pattern")]
    if said.get("choices") or any(leaf.values for leaf in _leaves(kind)):
        for name in others:
            warn(f"choices and {name}={said[name]!r} are both checked: leave one out")


def _compiled(pattern: str) -> Any:
    try:
        return re.compile(_strict_end(pattern))
    except re.error as error:
        place = "" if error.pos is None else f" at position {error.pos}"
        raise Problem(
            f"regex={pattern!r} is not a regular expression: {error.msg}{place}"
        ) from None


def _strict_end(pattern: str) -> str:
    """Make ``$`` match only at the very end, as in JSON Schema. In Python it also matches before a
    last newline.
    """
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


def _choices(choices: Any, kind: Kind, warn: Warn) -> list[Any] | None:
    if isinstance(choices, (str, bytes)) or not hasattr(choices, "__iter__"):
        raise Problem(f"choices={choices!r} must be a list")
    wanted: dict[type, type[Kind]] = {str: Text, int: Integer}
    types = [t for t, of in wanted.items() if any(isinstance(leaf, of) for leaf in _leaves(kind))]
    if not types:
        raise Problem(
            f"choices needs an input that is a string or an integer, but this is {kind.text}"
        )
    values: list[Any] = []
    for choice in choices:
        value = _plain_choice(choice, warn)
        if type(value) not in types:
            names = " or ".join(wanted[t].text for t in types)
            raise Problem(f"choices has {value!r:.80}, but the input is {names}")
        if value in values:
            warn(f"choices has {value!r} twice: leave one out")
        else:
            values.append(value)
    if not values:
        warn("choices is empty: it has no effect, give at least one value or leave it out")
    return values or None


def _plain_choice(choice: Any, warn: Warn) -> Any:
    if isinstance(choice, enum.Enum):
        if not isinstance(choice, (str, int)):
            raise Problem(f"the choice {choice!r} is an Enum that must also extend str or int")
        return choice.value
    value = plain(choice)
    if type(value) is not type(choice):
        warn(
            f"choices has {choice!r:.80} of type {type(choice).__name__},"
            f" taken as {value!r:.80}: write that instead"
        )
    return value
