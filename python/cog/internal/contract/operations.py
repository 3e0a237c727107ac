"""Makes the operations of the OpenAPI document: paths, parameters, bodies and responses."""

from __future__ import annotations

from typing import Any

from cog.internal.contract.signature import Method
from cog.internal.pristine import builtins as __builtins__  # noqa: F401

Schema = dict[str, Any]


def demanding_input(method: Method) -> bool:
    """Whether a method has an input that a request cannot leave out."""
    return any(field.required for field in method.fields)


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _answers(ok: Schema, **others: str) -> Schema:
    """Return the responses of an operation. ``others`` maps ``_404`` and the like to the names of
    their schemas.
    """
    found = {"200": _answer("Successful Response", ok)}
    for code, name in others.items():
        found[code[1:]] = _answer(_REASONS[code], ref(name) if name else {"type": "object"})
    return found


def _answer(description: str, schema: Schema) -> Schema:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


_REASONS = {
    "_202": "Accepted",
    "_400": "Malformed request",
    "_401": "No token",
    "_404": "Not found",
    "_406": "Not streamed",
    "_408": "The body stopped arriving",
    "_409": "Busy, or the id is in use",
    "_413": "Too large",
    "_415": "Not JSON",
    "_422": "Validation Error",
    "_429": "The queue is full",
    "_503": "No model is ready",
}


def server_paths() -> Schema:
    text = {"schema": {"type": "string"}}
    return {
        "/": _simple("get", "Root", "root__get"),
        "/health-check": _simple("get", "Healthcheck", "healthcheck_health_check_get"),
        "/shutdown": _simple("post", "Start Shutdown", "start_shutdown_shutdown_post"),
        "/livez": _simple("get", "Livez", "livez_livez_get"),
        "/readyz": _simple("get", "Readyz", "readyz_readyz_get", _503=""),
        "/queue": {
            "get": {
                "summary": "Queue",
                "description": "How many predictions wait for the workers of a model, with --queue",
                "operationId": "queue_queue_get",
                "parameters": [_NAME],
                "responses": _answers({"title": "Response Queue"}, _404="Error", _503="Error"),
            }
        },
        "/models": {
            "get": {
                "summary": "Models",
                "description": "The models that servers share, with --queue",
                "operationId": "models_models_get",
                "responses": _answers({"title": "Response Models"}, _404="Error"),
            }
        },
        "/metrics": {
            "get": {
                "summary": "Metrics",
                "description": "For Prometheus",
                "operationId": "metrics_metrics_get",
                "responses": {
                    "200": {"description": "Successful Response", "content": {"text/plain": text}},
                    "401": _answer(_REASONS["_401"], ref("Error")),
                },
            }
        },
    }


#: The events of a stream, each as an object with its fields.
_EVENTS: Schema = {
    "text/event-stream": {
        "schema": {
            "title": "Event",
            "type": "object",
            "required": ["event", "data"],
            "properties": {
                "event": {
                    "type": "string",
                    "enum": ["start", "output", "log", "metric", "error", "completed"],
                },
                "data": {"type": "string"},
                "id": {"type": "string"},
            },
        }
    }
}


def _simple(verb: str, summary: str, operation: str, **others: str) -> Schema:
    responses = _answers({"title": f"Response {summary}"}, **others)
    return {verb: {"summary": summary, "operationId": operation, "responses": responses}}


_PREFER: Schema = {
    "name": "prefer",
    "in": "header",
    "required": False,
    "schema": {"title": "Prefer", "type": "string"},
}


_NAME: Schema = {
    "name": "name",
    "in": "query",
    "required": False,
    "schema": {"title": "Name", "type": "string"},
}


#: The number of the event after which a stream continues.
_LAST_EVENT: Schema = {
    "name": "last-event-id",
    "in": "header",
    "required": False,
    "schema": {"title": "Last-Event-ID", "type": "string"},
}


def _id_parameter(noun: str, kind: str) -> Schema:
    return {
        "name": f"{noun}_id",
        "in": "path",
        "required": True,
        "schema": {"title": f"{kind} ID", "type": "string", "minLength": 1},
    }


def _body(schema: Schema, demanding: bool) -> Schema:
    return {
        "content": {"application/json": {"schema": schema}},
        **({"required": True} if demanding else {}),
    }


def run_paths(noun: str, kind: str, method: Method, request: Schema) -> Schema:
    """Return the paths that start and cancel predictions or trainings. ``request`` is the schema of
    a request.
    """
    verb = "predict" if noun == "prediction" else "train"
    # Without the id, because it is in the path and the body could only repeat it.
    without_id = {
        **request,
        "properties": {k: v for k, v in request["properties"].items() if k != "id"},
    }
    refused = {f"_{code}": "Error" for code in (400, 401, 404, 406, 408, 409, 413, 415, 429, 503)}
    run = _answers(
        ref(f"{kind}Response"), _202=f"{kind}Response", _422="HTTPValidationError", **refused
    )
    post: Schema = {
        "summary": verb.title(),
        "description": f"Run a single {noun} on the model",
        "operationId": f"{verb}_{noun}s_post",
        "parameters": [_PREFER],
        "requestBody": _body(ref(f"{kind}Request"), demanding_input(method)),
        "responses": run,
    }
    if method.streaming and noun == "prediction":
        post["x-cog-streaming"] = True
        run["200"] = {**run["200"], "content": {**run["200"]["content"], **_EVENTS}}
    put = {
        "summary": f"{verb.title()} Idempotent",
        "description": f"Run a single {noun} on the model (idempotent creation).",
        "operationId": f"{verb}_idempotent_{noun}s__{noun}_id__put",
        "parameters": [_id_parameter(noun, kind), _PREFER],
        "requestBody": _body(without_id, demanding_input(method)),
        "responses": run,
    }
    cancel = {
        "summary": "Cancel",
        "description": f"Cancel a running {noun}",
        "operationId": f"cancel_{noun}s__{noun}_id__cancel_post",
        "parameters": [_id_parameter(noun, kind), _PREFER],
        "responses": _answers(
            {"title": "Response Cancel"}, _401="Error", _404="", _422="HTTPValidationError"
        ),
    }
    return {
        f"/{noun}s": {"post": post},
        f"/{noun}s/{{{noun}_id}}": {"put": put},
        f"/{noun}s/{{{noun}_id}}/cancel": {"post": cancel},
    }


def add_polling(paths: Schema, noun: str, kind: str, found: Schema) -> None:
    """Add the operations that list, get and stream predictions or trainings. Cog does not have
    these.
    """
    page = {
        "type": "object",
        "required": ["results", "next"],
        "properties": {
            "results": {"type": "array", "items": found},
            "next": {"type": "string", "nullable": True},
        },
    }
    cursor = {
        "name": "cursor",
        "in": "query",
        "required": False,
        "schema": {"title": "Cursor", "type": "string"},
    }
    paths[f"/{noun}s"]["get"] = {
        "summary": "List",
        "description": f"The {noun}s that run or have finished lately, newest first",
        "operationId": f"list_{noun}s_get",
        "parameters": [cursor],
        "responses": _answers(page, _401="Error", _404="Error"),
    }
    paths[f"/{noun}s/{{{noun}_id}}"]["get"] = {
        "summary": "Get",
        "description": f"The state or the result of a {noun}",
        "operationId": f"get_{noun}s__{noun}_id__get",
        "parameters": [_id_parameter(noun, kind)],
        "responses": _answers(found, _401="Error", _404="Error"),
    }
    paths[f"/{noun}s/{{{noun}_id}}/stream"] = {
        "get": {
            "summary": "Stream",
            "description": f"Follow a {noun} as server-sent events",
            "operationId": f"stream_{noun}s__{noun}_id__stream_get",
            "parameters": [_id_parameter(noun, kind), _LAST_EVENT],
            "responses": {
                "200": {"description": "Successful Response", "content": _EVENTS},
                "204": {"description": f"The {noun} has finished, and its last event was seen"},
                "401": _answer(_REASONS["_401"], ref("Error")),
                "404": _answer(_REASONS["_404"], ref("Error")),
            },
        }
    }
