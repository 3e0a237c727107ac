"""The author's models and dataclasses of pydantic 1 and 2 as a kind. They describe and check
themselves.
"""

from __future__ import annotations

import sys
import typing
from collections.abc import Iterator
from typing import Any, Callable

from cog.internal.contract.exception_text import describe, refusals
from cog.internal.contract.fetched import Fetched, decoding
from cog.internal.contract.kinds import Files, Kind, Mismatch, Schema
from cog.internal.pristine import builtins as __builtins__  # noqa: F401

#: The keywords whose value is a schema, a list of schemas, or schemas by name. No other keyword
#: contains schemas.
_ONE = (
    "items",
    "additionalItems",
    "additionalProperties",
    "propertyNames",
    "contains",
    "not",
    "if",
    "then",
    "else",
)
_ONE_MORE = ("contentSchema", "unevaluatedItems", "unevaluatedProperties")
_MANY = ("anyOf", "oneOf", "allOf", "prefixItems", "items")
_NAMED = ("properties", "patternProperties", "dependentSchemas")

#: The formats of ``pathlib.Path``, ``FilePath`` and ``DirectoryPath``. For these a client must send
#: the URL of a file, because it must not name a path.
_PATHS = ("path", "file-path", "directory-path")


class SchemaError(Exception):
    """A model of pydantic does not have a schema that the server can check."""


class Pydantic(Kind):
    """A model of pydantic. Raises SchemaError if it does not have a schema."""

    def __init__(self, model: Any, output: bool) -> None:
        self._model = model
        self.text = f"an object of type {model.__name__}"
        tell, self._make = _interface(model)
        try:
            whole = tell()
        except Exception as error:
            reason = describe(error).split("\n")[0]
            raise SchemaError(f"pydantic has no schema of {model.__name__}: {reason}") from None
        definitions = {**whole.get("$defs", {}), **whole.get("definitions", {})}
        rest = {k: v for k, v in whole.items() if k not in ("$defs", "definitions")}
        reading = _Reading(definitions, output, frozenset() if output else _unmarked(model))
        self._schema: Schema = reading.read(rest)
        self._defaults = reading.defaults

    def schema(self) -> Schema:
        return dict(self._schema)

    def decode(self, value: Any, files: Files) -> Any:
        given = _with_files(value, files)
        fetched = Fetched(frozenset(files.paths.values()), self._defaults)
        token = decoding.set(fetched)
        try:
            made = self._made(given)
        finally:
            decoding.reset(token)
        try:
            fetched.check_made(made, value)
        except ValueError as error:
            raise Mismatch(f"does not fit {self._model.__name__}: {error}") from None
        return made

    def check(self, value: Any) -> Any:
        return value if isinstance(value, self._model) else self._made(value)

    def default(self, value: Any) -> Any:
        return self.check(value)

    def hidden(self, value: Any) -> Iterator[str]:
        return _secrets(self._schema, value)

    def _made(self, value: Any) -> Any:
        try:
            return self._make(value)
        except Exception as error:
            text = refusals(error) or describe(error)
            raise Mismatch(f"does not fit {self._model.__name__}: {text}") from None


def _interface(model: Any) -> tuple[Callable[[], Any], Callable[[Any], Any]]:
    """Return the function that makes a model's schema, and the one that makes the model of a
    value.
    """
    if hasattr(model, "__dataclass_fields__"):
        if hasattr(model, "__pydantic_validator__"):
            adapter = sys.modules["pydantic"].TypeAdapter(model)
            return adapter.json_schema, adapter.validate_python
        return model.__pydantic_model__.schema, lambda value: _of_fields(model, value)
    if hasattr(model, "model_json_schema"):
        return model.model_json_schema, model.model_validate
    return model.schema, model.parse_obj


def _of_fields(model: Any, value: Any) -> Any:
    if not isinstance(value, dict):
        raise ValueError("must be an object")
    return model(**value)


def _with_files(value: Any, files: Files) -> Any:
    """Return the value with a path in place of each file of the request."""
    path = files.paths.get(files.pointer)
    if path is not None:
        from cog.types import Path

        return Path(path)
    if not isinstance(value, (dict, list)) or not any(
        p.startswith(f"{files.pointer}/") for p in files.paths
    ):
        return value
    if isinstance(value, dict):
        return {key: _with_files(item, files.at(key)) for key, item in value.items()}
    return [_with_files(item, files.at(i)) for i, item in enumerate(value)]


class _Reading:
    """Makes one schema of those of pydantic. It does not contain references, and allows null in the
    way of OpenAPI 3.0. In the schema of an input, files and secrets have marks.
    """

    def __init__(self, definitions: Schema, output: bool, unmarked: frozenset[str]) -> None:
        self.defaults: set[str] = set()  # defaults that are strings, which may become paths
        self._definitions = definitions
        self._output = output
        self._unmarked = unmarked
        self._open: list[str] = []

    def read(self, schema: Any) -> Any:
        """Return the schema for the document. Raises SchemaError."""
        if not isinstance(schema, dict):
            return schema
        if "$ref" not in schema:
            return self._read(schema)
        name = schema["$ref"].rsplit("/", 1)[-1]
        if name in self._open:
            raise SchemaError(f"{name} contains itself, so it does not have a finite schema")
        if name not in self._definitions:
            raise SchemaError(f"the schema refers to {schema['$ref']}, which does not exist")
        self._open.append(name)
        try:
            return self.read(
                {**self._definitions[name], **{k: v for k, v in schema.items() if k != "$ref"}}
            )
        finally:
            self._open.pop()

    def _read(self, schema: Schema) -> Schema:
        out = {key: self._value(key, value) for key, value in schema.items()}
        if isinstance(out.get("default"), str):
            self.defaults.add(out["default"])
        self._mark_file(out)
        out = _nullable(out)
        # Without its mapping, which refers to definitions. Each member has its own tags.
        if "discriminator" in out:
            out["discriminator"] = {"propertyName": out["discriminator"]["propertyName"]}
        if "default" in out and any(_secrets(out, out["default"])):
            del out["default"]  # the default of a secret is a secret
        return out

    def _value(self, key: str, value: Any) -> Any:
        if key in _MANY and isinstance(value, list):
            return [self.read(item) for item in value]
        if key in _ONE or key in _ONE_MORE:
            return self.read(value)
        if key in _NAMED and isinstance(value, dict):
            return {name: self._property(name, item) for name, item in value.items()}
        return value

    def _property(self, name: str, schema: Any) -> Any:
        shown = self.read(schema)
        return (
            {**shown, "x-cog-secret": True}
            if name in self._unmarked and isinstance(shown, dict)
            else shown
        )

    def _mark_file(self, schema: Schema) -> None:
        ours = schema.pop("x-cog-file", False)
        if self._output or schema.get("type") != "string":
            return
        if ours or schema.get("format") in _PATHS:
            schema["format"] = "uri"
        elif schema.get("format") == "uri":
            schema["x-cog-url"] = True  # HttpUrl and the like need the URL itself, not its file


def _nullable(schema: Schema) -> Schema:
    some = [s for s in schema.get("anyOf", []) if s != {"type": "null"}]
    if len(some) == len(schema.get("anyOf", [])):
        return schema
    rest = {k: v for k, v in schema.items() if k != "anyOf" and not (k == "default" and v is None)}
    inner = some[0] if len(some) == 1 else {"anyOf": some}
    return {**rest, **inner, "nullable": True}


def _unmarked(model: Any) -> frozenset[str]:
    """Return the names of fields that contain secrets without a mark in their schema, such as
    ``pydantic.Secret[int]``. Reads a model and the models in it.
    """
    names: set[str] = set()
    _look_into(model, names, set())
    return frozenset(names)


def _look_into(found: Any, names: set[str], seen: set[int]) -> bool:
    """Whether an annotation is or contains such a secret. Adds the fields of the classes in it to
    ``names``.
    """
    origin = typing.get_origin(found) or found
    if isinstance(origin, type) and hasattr(origin, "get_secret_value"):
        return not any(
            base.__name__ in ("SecretStr", "SecretBytes") or _is_ours(base)
            for base in origin.__mro__
        )
    holds = False
    for argument in typing.get_args(found):
        holds = _look_into(argument, names, seen) or holds
    if not isinstance(origin, type) or id(origin) in seen:
        return holds
    seen.add(id(origin))
    for annotation, called in _fields(origin):
        if _look_into(annotation, names, seen):
            names.update(called)
            holds = holds or issubclass(origin, tuple)  # in JSON its fields do not have names
    return holds


def _is_ours(found: type) -> bool:
    return found.__module__ == "cog.types" and found.__name__ == "Secret"


def _fields(found: type) -> Iterator[tuple[Any, set[str]]]:
    """Yield the annotation of each field of a class, and all names of the field."""
    for attribute in ("__pydantic_fields__", "model_fields", "__fields__"):
        fields = getattr(found, attribute, None)
        if isinstance(fields, dict):
            for name, field in fields.items():
                yield getattr(field, "annotation", None), {name, *_aliases(field)}
            return
    try:
        hints = typing.get_type_hints(found, include_extras=True)
    except Exception:  # pydantic has read them, or it would have refused the class
        return
    for name, annotation in hints.items():
        yield annotation, {name}


def _aliases(field: Any) -> Iterator[str]:
    for alias in (getattr(field, "alias", None), getattr(field, "validation_alias", None)):
        for text in getattr(alias, "choices", (alias,)):
            if isinstance(text, str):
                yield text


def _secrets(schema: Any, value: Any) -> Iterator[str]:
    """Yield the strings in a value that a schema marks as secret. Any member of a union counts,
    even if the value is of another member.
    """
    if not isinstance(schema, dict):
        return
    if schema.get("format") == "password" or schema.get("writeOnly") or schema.get("x-cog-secret"):
        yield from _leaves(value)
        return
    for keyword in ("anyOf", "oneOf", "allOf"):
        for member in schema.get(keyword, ()):
            yield from _secrets(member, value)
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        others = [*schema.get("patternProperties", {}).values(), schema.get("additionalProperties")]
        for key, item in value.items():
            for inner in [properties[key]] if key in properties else others:
                yield from _secrets(inner, item)
    if isinstance(value, (list, tuple)):
        items = schema.get("items")
        first = schema.get("prefixItems") or (items if isinstance(items, list) else [])
        for i, item in enumerate(value):
            yield from _secrets(first[i] if i < len(first) else items, item)


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, (dict, list, tuple)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _leaves(item)
    elif value is not None and not isinstance(value, bool):
        yield str(value)
