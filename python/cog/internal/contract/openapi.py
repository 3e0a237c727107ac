"""Makes the OpenAPI document of a model, in the form that it has had since Cog's first release."""

from __future__ import annotations

from typing import Any

from cog.input import UNSET
from cog.internal.contract.containers import ListOf, Nullable
from cog.internal.contract.fields import Field
from cog.internal.contract.operations import (
    add_polling,
    demanding_input,
    ref,
    run_paths,
    server_paths,
)
from cog.internal.contract.records import title_of
from cog.internal.contract.signature import Method, innermost
from cog.internal.pristine import builtins as __builtins__  # noqa: F401

Schema = dict[str, Any]


def document(predict: Method, train: Method | None) -> Schema:
    """Return the whole document. It has ``/trainings`` only for a model with ``train``."""
    schemas: Schema = dict(_envelopes("Prediction", "Input", "Output", demanding_input(predict)))
    schemas.update(_shared())
    exact: Schema = {}
    _add_method(schemas, exact, predict, "Input", "Output")
    _loosen(schemas["PredictionRequest"], schemas["Input"])
    paths = {
        **server_paths(),
        **run_paths("prediction", "Prediction", predict, schemas["PredictionRequest"]),
    }
    if train is not None:
        schemas.update(
            _envelopes("Training", "TrainingInput", "TrainingOutput", demanding_input(train))
        )
        _add_method(schemas, exact, train, "TrainingInput", "TrainingOutput")
        _loosen(schemas["TrainingRequest"], schemas["TrainingInput"])
        paths.update(run_paths("training", "Training", train, schemas["TrainingRequest"]))
        add_polling(paths, "training", "Training", ref("TrainingResponse"))
    found = ref("PredictionResponse")
    # A path of predictions finds trainings too, because they share their ids.
    either = {"anyOf": [found, ref("TrainingResponse")]} if train is not None else found
    add_polling(paths, "prediction", "Prediction", either)
    whole = {
        "openapi": "3.0.2",
        "info": {"title": "Cog", "version": "0.1.0", **_about(predict)},
        "paths": paths,
        "components": {"schemas": schemas},
    }
    return {**whole, "x-cog-exact": exact} if exact else whole


def _about(method: Method) -> Schema:
    """Return the docstring of a method, without its indentation, as the description of the
    document.
    """
    text = getattr(innermost(method.function, method.name), "__doc__", None)
    if not isinstance(text, str) or not text.strip():
        return {}
    # Not by inspect.cleandoc, because importing inspect takes long.
    first, *rest = text.expandtabs().strip().splitlines()
    margin = min((len(line) - len(line.lstrip()) for line in rest if line.strip()), default=0)
    return {"description": "\n".join([first, *(line[margin:].rstrip() for line in rest)])}


def _add_method(
    schemas: Schema, exact: Schema, method: Method, input_name: str, output_name: str
) -> None:
    properties: Schema = {}
    for order, field in enumerate(method.fields):
        properties[field.name] = _property(field, order, schemas)
    whole: Schema = {"title": input_name, "type": "object", "properties": properties}
    required = [field.name for field in method.fields if field.required]
    if required:
        whole["required"] = required
    if method.open_ended:
        whole["additionalProperties"] = True
    schemas[input_name] = _as_cog_shows_it(whole)
    if schemas[input_name] != whole:
        exact[input_name] = whole
    schemas[output_name] = {**method.result.schema(), "title": output_name}


#: The keywords that only the server reads.
_MARKS = ("x-cog-any", "x-cog-url")


def _as_cog_shows_it(schema: Any) -> Any:
    """Return a schema of inputs in which a dict and a value of any type are plain objects, as forms
    expect of Cog. The schema that the server checks is in ``x-cog-exact``.
    """
    if isinstance(schema, list):
        return [_as_cog_shows_it(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    shown = {
        k: v if k == "default" else _as_cog_shows_it(v)
        for k, v in schema.items()
        if k not in _MARKS
    }
    if shown.get("type") == "object" and "properties" not in shown:
        shown.pop("additionalProperties", None)
    return shown


def _property(field: Field, order: int, schemas: Schema) -> Schema:
    kind = field.kind
    whole = {**kind.schema(), "title": title_of(field.name), "x-order": order}
    typed = dict(whole)
    if field.rules is not None:
        field.rules.constrain(whole)
    values = _choices(field)
    if values is None:
        shown = whole
    else:
        rules = {keyword: value for keyword, value in whole.items() if keyword not in typed}
        name = _component(field.name, values, schemas)
        shown = {"allOf": [{"$ref": f"#/components/schemas/{name}"}], "x-order": order, **rules}
    if isinstance(kind, Nullable):
        shown["nullable"] = True
    _describe(shown, field)
    return shown


def _describe(shown: Schema, field: Field) -> None:
    info = field.info
    if field.absent is not None and field.absent.shown is not UNSET:
        shown["default"] = field.absent.shown
    if info.description is not None:
        shown["description"] = info.description
    if info.deprecated:
        shown["deprecated"] = True
    if info.accept is not None:
        shown["x-cog-accept"] = info.accept


def _choices(field: Field) -> list[Any] | None:
    """Return the allowed values of an input, if there are only a few. Those of the items of a list,
    or of the members of a Union, are in the schemas of these.
    """
    kind = field.kind.inner if isinstance(field.kind, Nullable) else field.kind
    if kind.values is not None:
        return kind.values
    if field.rules is None or kind.members or isinstance(kind, ListOf):
        return None
    return field.rules.choices


#: The names of JSON Schema for the types of choices.
_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean"}


def _component(name: str, values: list[Any], schemas: Schema) -> str:
    """Enter an enumeration, and return its name in ``schemas``: ``name``, or a longer one if
    another schema has that name.
    """
    enumeration: Schema = {"title": name, "description": "An enumeration.", "enum": values}
    types = {_TYPES[type(value)] for value in values}
    if len(types) == 1:  # if there are several, the values alone tell them
        enumeration["type"] = types.pop()
    chosen, taken = name, 0
    while chosen in _RESERVED or schemas.get(chosen, enumeration) != enumeration:
        taken += 1
        chosen = f"{name}Choices{taken if taken > 1 else ''}"
    schemas[chosen] = enumeration
    return chosen


def _text(title: str, **more: Any) -> Schema:
    return {"title": title, "type": "string", "nullable": True, **more}


def _text_or_empty(title: str, **rules: Any) -> Schema:
    """Return the schema of a string that follows the rules or is empty, which means absent."""
    return {
        "title": title,
        "anyOf": [{"type": "string", **rules}, {"enum": [""]}],
        "nullable": True,
    }


#: The URLs that the server accepts.
_URL: Schema = {"format": "uri", "pattern": "^https?://[A-Za-z0-9]"}


def _envelopes(kind: str, input_name: str, output_name: str, demanding: bool) -> Schema:
    """Return the schemas of the request and the response around input and output. A request does
    not need ``input`` if every input has a default.
    """
    object_of_strings = {
        "title": "Context",
        "type": "object",
        "additionalProperties": {"type": "string"},
        "nullable": True,
    }
    request = {
        "input": {"allOf": [ref(input_name)], **({} if demanding else {"nullable": True})},
        "id": _text("Id"),
        "created_at": _text_or_empty("Created At", format="date-time"),
        "context": object_of_strings,
        "output_file_prefix": _text_or_empty("Output File Prefix", **_URL),
        "webhook": _text_or_empty("Webhook", **_URL, minLength=1, maxLength=65536),
        "webhook_events_filter": {
            "type": "array",
            "items": ref("WebhookEvent"),
            "default": ["start", "output", "logs", "completed"],
            "nullable": True,
        },
    }
    response = {
        # As the client sent it, so a number may be a string and there may be unknown names, and
        # with stars for secrets.
        "input": {"anyOf": [ref(input_name), {"type": "object"}], "nullable": True},
        # Because Cog's own client reads the type here, and does not look behind allOf, this is a
        # bare reference. So it does not say that the output is null until there is one.
        "output": ref(output_name),
        "id": _text("Id"),
        "version": _text("Version"),
        "created_at": _text("Created At", format="date-time"),
        "started_at": _text("Started At", format="date-time"),
        "completed_at": _text("Completed At", format="date-time"),
        "logs": {"title": "Logs", "type": "string", "default": ""},
        "error": _text("Error"),
        "status": {"allOf": [ref("Status")], "nullable": True},
        "metrics": {
            "title": "Metrics",
            "type": "object",
            "additionalProperties": True,
            "nullable": True,
        },
    }
    need: Schema = {"required": ["input"]} if demanding else {}
    return {
        f"{kind}Request": {
            "title": f"{kind}Request",
            "type": "object",
            "properties": request,
            **need,
        },
        f"{kind}Response": {"title": f"{kind}Response", "type": "object", "properties": response},
    }


#: The values that the server accepts for a boolean, such as the strings of forms.
_BOOLEAN: Schema = {
    "anyOf": [
        {"type": "boolean"},
        {"enum": [0, 1, "0", "1", "true", "false", "yes", "no", "on", "off"]},
    ]
}


def _loosen(request: Schema, whole: Schema) -> None:
    """Let a request send booleans as other values. ``whole``, the schema of the model's input, does
    not have these.
    """
    loose: Schema = {}
    for name, shown in whole["properties"].items():
        if shown.get("type") == "boolean":
            loose[name] = {**{k: v for k, v in shown.items() if k != "type"}, **_BOOLEAN}
        elif shown.get("items", {}).get("type") == "boolean":
            loose[name] = {**shown, "items": _BOOLEAN}
    if loose:
        nullable = {"nullable": True} if "nullable" in request["properties"]["input"] else {}
        request["properties"]["input"] = {
            **whole,
            "properties": {**whole["properties"], **loose},
            **nullable,
        }


def _shared() -> Schema:
    location = {
        "type": "array",
        "title": "Location",
        "items": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
    }
    return {
        "Status": _enumeration(
            "Status", "starting", "processing", "succeeded", "canceled", "failed"
        ),
        "WebhookEvent": _enumeration("WebhookEvent", "start", "output", "logs", "completed"),
        "HTTPValidationError": {
            "title": "HTTPValidationError",
            "type": "object",
            "properties": {
                "detail": {"title": "Detail", "type": "array", "items": ref("ValidationError")}
            },
        },
        "ValidationError": {
            "title": "ValidationError",
            "type": "object",
            "required": ["loc", "msg", "type"],
            "properties": {
                "loc": location,
                "msg": {"title": "Message", "type": "string"},
                "type": {"title": "Error Type", "type": "string"},
            },
        },
        "Error": {
            "title": "Error",
            "type": "object",
            "required": ["detail", "error"],
            "properties": {
                "detail": {"title": "Detail", "type": "string"},
                "error": {"title": "Error", "type": "string"},
                "status": {"title": "Status", "type": "string"},
            },
        },
    }


def _enumeration(name: str, *values: str) -> Schema:
    return {"title": name, "type": "string", "enum": list(values), "description": "An enumeration."}


#: The names that the enumeration of an input cannot have.
_RESERVED = frozenset(
    ["Input", "Output", "TrainingInput", "TrainingOutput", *_shared()]
    + [f"{kind}{end}" for kind in ("Prediction", "Training") for end in ("Request", "Response")]
)
