"""Represents the types of inputs and outputs as a small tree. Each node knows its schema, decodes
JSON and checks a model's outputs.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Callable, NamedTuple

from cog.internal.contract.exception_text import describe
from cog.internal.pristine import builtins as __builtins__  # noqa: F401
from cog.internal.pristine import re

Schema = dict[str, Any]

_number = re.compile(r"\s*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\s*").fullmatch
_integer = re.compile(r"\s*[+-]?\d+(\.0*)?\s*").fullmatch

_WORDS = {
    **dict.fromkeys(("true", "t", "yes", "y", "on", "1"), True),
    **dict.fromkeys(("false", "f", "no", "n", "off", "0"), False),
}


#: The string that is shown in place of a secret.
STARS = "**********"


class Mismatch(Exception):
    """A value does not fit its type. ``where`` is the place inside the value, such as ``[0].x``."""

    def __init__(self, text: str, where: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.where = where

    def inside(self, step: str) -> Mismatch:
        """Return the same mismatch for the containing value, in which ``step`` leads to this
        one.
        """
        return Mismatch(self.text, step + self.where)


def got(value: Any) -> str:
    """Return a value for a message, cut to 60 characters. Of a list or an object it names only the
    type, because the parts may be secret or long.
    """
    if isinstance(value, (dict, list)):
        return "an object" if isinstance(value, dict) else "a list"
    try:
        text = repr(value)
    except Exception:
        text = "a value"
    return f"{text[:60]}{'…' if len(text) > 60 else ''}"


def pointer_step(name: str) -> str:
    """Return a key as a JSON pointer spells it."""
    return name.replace("~", "~0").replace("/", "~1")


class Files(NamedTuple):
    """The paths of the downloaded files of a request, by JSON pointer, and the pointer of the
    current value.
    """

    paths: Mapping[str, str]
    pointer: str = ""

    def at(self, step: object) -> Files:
        """Return the same files with the pointer of a part of the value."""
        return Files(self.paths, f"{self.pointer}/{pointer_step(str(step))}")


#: For a default, which does not come with a request.
NO_FILES = Files({})


def plain(value: Any) -> Any:
    """Return the plain value for JSON. A member of an Enum becomes its value, a number of numpy one
    of Python, and an object of a class derived from str, int or float one of that type.
    """
    if isinstance(value, enum.Enum):
        value = value.value
    value = scalar(value)
    for base in (str, int, float):
        if isinstance(value, base) and type(value) is not base and type(value) is not bool:
            return base(value)
    return value


class Kind:
    """A type. ``decode`` makes a Python value of a JSON value, and ``check`` checks an output. Both
    raise Mismatch.
    """

    text = "any value"
    is_number = False
    members: Sequence[Kind] = ()  # the types of a Union
    values: list[Any] | None = None  # the allowed values, if there are only a few

    def schema(self) -> Schema:
        """Return the JSON schema of the type."""
        return {}

    def decode(self, value: Any, files: Files) -> Any:
        """Return the Python value of a JSON value."""
        return value

    def check(self, value: Any) -> Any:
        """Return an output, converted to the type where that loses nothing."""
        return value

    def default(self, value: Any) -> Any:
        """Return the argument for a default that the author has written. It is the same as for that
        value in a request.
        """
        return self.decode(plain(value), NO_FILES)

    def fresh(self, value: Any) -> Any:
        """Return a copy of the result of `default` for one prediction, which may change it."""
        from copy import deepcopy  # local, because few defaults need it

        return deepcopy(value)

    def jsonable(self, value: Any) -> Any:
        """Return a default as the schema shows it."""
        return getattr(value, "value", value) if isinstance(value, (str, int)) else value

    def hidden(self, value: Any) -> Iterator[str]:
        """Yield the strings in a JSON value that must be masked. In a Union, one member that is a
        secret is enough.
        """
        return iter(())


class Anything(Kind):
    """Any JSON value. The schema of an input calls it an object, because forms need a type."""

    def __init__(self, schema: Schema | None = None) -> None:
        self._schema = {} if schema is None else schema

    def schema(self) -> Schema:
        return dict(self._schema)

    def default(self, value: Any) -> Any:
        return value


class Text(Kind):
    text = "a string"

    def __init__(self, format: str | None = None) -> None:
        self._format = format

    def schema(self) -> Schema:
        return (
            {"type": "string"}
            if self._format is None
            else {"type": "string", "format": self._format}
        )

    def decode(self, value: Any, files: Files) -> Any:
        if not isinstance(value, str):
            raise Mismatch(f"must be a string; got {got(value)}")
        return value

    def check(self, value: Any) -> Any:
        if isinstance(value, str):
            return value
        inner = getattr(value, "value", None)
        if isinstance(inner, str) or hasattr(value, "get_secret_value") or _as_text(value):
            return value
        raise Mismatch(f"must be a string; got {got(value)}")


def _as_text(value: Any) -> bool:
    """Whether the encoder writes the value as a string: a date or a UUID."""
    return type(value).__module__ in ("datetime", "uuid")


class Integer(Kind):
    text = "an integer"
    is_number = True

    def schema(self) -> Schema:
        return {"type": "integer"}

    def decode(self, value: Any, files: Files) -> Any:
        if isinstance(value, str) and _integer(value):
            return int(value.strip().split(".")[0])
        return self._exact(value)

    def check(self, value: Any) -> Any:
        value = scalar(value)
        if isinstance(value, str) and _integer(value):
            return int(value.strip().split(".")[0])
        return self._exact(value)

    def _exact(self, value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise Mismatch(f"must be an integer; got {got(value)}")
        if isinstance(value, float):
            if not value.is_integer():
                raise Mismatch(f"must be an integer; got {got(value)}")
            return int(value)
        return value


class Number(Kind):
    text = "a number"
    is_number = True

    def schema(self) -> Schema:
        return {"type": "number"}

    def decode(self, value: Any, files: Files) -> Any:
        if isinstance(value, str) and _number(value):
            value = float(value)
        return self._exact(value)

    def check(self, value: Any) -> Any:
        value = scalar(value)
        if isinstance(value, str) and _number(value):
            value = float(value)
        return self._exact(value, finite=False)  # the encoder names the place of a NaN

    def _exact(self, value: Any, finite: bool = True) -> Any:
        if type(value).__name__ == "Decimal":
            return value
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise Mismatch(f"must be a number; got {got(value)}")
        try:
            exact = float(value)
        except OverflowError:
            raise Mismatch(f"must be a finite 64-bit float; got {got(value)}") from None
        if finite and not float("-inf") < exact < float("inf"):
            raise Mismatch(f"must be a finite 64-bit float; got {got(value)}")
        return exact


class Boolean(Kind):
    text = "a boolean"

    def schema(self) -> Schema:
        return {"type": "boolean"}

    def decode(self, value: Any, files: Files) -> Any:
        if isinstance(value, bool):
            return value
        if isinstance(value, (int, float)) and value in (0, 1):
            return bool(value)
        if isinstance(value, str) and value.strip().lower() in _WORDS:
            return _WORDS[value.strip().lower()]
        raise Mismatch(f"must be a boolean; got {got(value)}")

    def check(self, value: Any) -> Any:
        value = scalar(value)
        if not isinstance(value, bool):
            raise Mismatch(f"must be a boolean; got {got(value)}")
        return value


def scalar(value: Any) -> Any:
    """Return the Python number in a scalar of numpy or torch, or any other value unchanged."""
    if is_array(type(value)) and hasattr(value, "item") and getattr(value, "ndim", 0) == 0:
        return value.item()
    return value


def is_array(kind: type) -> bool:
    """Whether a type is an array, or a part of one. Reads the type's module, so that the library is
    not imported.
    """
    return kind.__module__.split(".")[0] in (
        "numpy",
        "torch",
        "jax",
        "jaxlib",
        "tensorflow",
        "pandas",
        "cupy",
    )


def is_url(text: str) -> bool:
    """Whether a string is the URL of a file, and not its path."""
    return text.startswith(("http://", "https://", "data:"))


class PathKind(Kind):
    """A file as a path. ``make`` is the class in the annotation."""

    text = "a file URL"

    def __init__(self, make: Callable[[str], Any]) -> None:
        self._make = make

    def schema(self) -> Schema:
        return {"type": "string", "format": "uri"}

    def decode(self, value: Any, files: Files) -> Any:
        path = files.paths.get(files.pointer)
        if path is None:
            raise Mismatch(f"must be an http://, https:// or data: URL; got {got(value)}")
        return self._make(path)

    def check(self, value: Any) -> Any:
        if isinstance(value, str):
            return value if is_url(value) else self._make(value)
        if not hasattr(value, "__fspath__") and not hasattr(value, "read"):
            raise Mismatch(f"must be a path; got {got(value)}")
        return value

    def default(self, value: Any) -> Any:
        # The author means that there is no file, but as a path "" is the current directory.
        if value == "":
            raise Mismatch("must be a path; got ''")
        return self.check(value)

    def fresh(self, value: Any) -> Any:
        return value

    def jsonable(self, value: Any) -> Any:
        return str(value)


class FileKind(PathKind):
    """A file as an open binary file."""

    def __init__(self) -> None:
        super().__init__(lambda path: open(path, "rb"))  # noqa: SIM115 - the model closes it

    def default(self, value: Any) -> Any:
        if not isinstance(value, str) or not value or is_url(value):
            return super().default(value)
        from cog.types import Path

        return Path(value)

    def fresh(self, value: Any) -> Any:
        # A new one for each prediction, which may close it.
        return open(value, "rb") if hasattr(value, "__fspath__") else value


class SecretKind(Kind):
    """A secret. ``make`` is the class in the annotation: ours, or one of pydantic."""

    text = "a string"

    def __init__(self, make: Any) -> None:
        self._make = make

    def schema(self) -> Schema:
        return {"type": "string", "format": "password", "writeOnly": True, "x-cog-secret": True}

    def decode(self, value: Any, files: Files) -> Any:
        if not isinstance(value, str):
            raise Mismatch("must be a string")  # without the value, which is secret
        try:
            return self._make(value.encode() if self._make.__name__ == "SecretBytes" else value)
        except Exception as error:  # a class of the author may refuse the string
            raise Mismatch(describe(error)) from None

    def check(self, value: Any) -> Any:
        from cog.types import Secret

        return Secret(value) if isinstance(value, str) else value

    def default(self, value: Any) -> Any:
        return value if hasattr(value, "get_secret_value") else super().default(value)

    def jsonable(self, value: Any) -> Any:
        text = value.get_secret_value() if hasattr(value, "get_secret_value") else value
        return "" if text in ("", b"") else STARS

    def hidden(self, value: Any) -> Iterator[str]:
        if isinstance(value, str):
            yield value


def is_record(value: Any) -> bool:
    """Whether a value knows its fields: an object of a dataclass, of our BaseModel or of a pydantic
    model.
    """
    kind = type(value)
    return any(
        hasattr(kind, mark)
        for mark in ("__cog_fields__", "__dataclass_fields__", "model_fields", "__fields__")
    )
