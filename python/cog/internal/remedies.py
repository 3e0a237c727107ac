"""What to say when a model counts on what came with Cog, on what Cog had in 2021, or on a package around its file."""

from __future__ import annotations

from cog.internal import own_builtins as __builtins__  # type: ignore[no-redef]  # noqa: F401
from cog.internal.endings import is_a

#: Modules that were installed along with Cog in one of its releases, with the names of their packages.
BROUGHT = {
    "annotated_types": "annotated-types",
    "anyio": "anyio",
    "attr": "attrs",
    "attrs": "attrs",
    "certifi": "certifi",
    "charset_normalizer": "charset-normalizer",
    "click": "click",
    "dotenv": "python-dotenv",
    "fastapi": "fastapi",
    "h11": "h11",
    "httptools": "httptools",
    "idna": "idna",
    "pydantic": "pydantic",
    "pydantic_core": "pydantic-core",
    "requests": "requests",
    "starlette": "starlette",
    "structlog": "structlog",
    "typing_extensions": "typing-extensions",
    "urllib3": "urllib3",
    "uvicorn": "uvicorn",
    "uvloop": "uvloop",
    "watchfiles": "watchfiles",
    "websockets": "websockets",
    "yaml": "PyYAML",
}

_NOW = (
    "write class Predictor(cog.BasePredictor), and each "
    "@cog.input(NAME, type=T, help=…, default=…, min=…, max=…, options=…) as a parameter of predict, "
    "NAME: T = cog.Input(description=…, default=…, ge=…, le=…, choices=…); predict also needs the type of what it returns"
)

_MISSING = "{0} came with Cog. Coggo brings no packages: install it with those of the model, pip install {0}\n"

_RELATIVE = "the file of the model belongs to no package: write from helper import … for from .helper import …\n"

_DEEPEST = 100  # causes may form a ring


def replaced(name: str) -> str:
    """What has taken the place of a name that Cog had until 2021."""
    return f"{name} was replaced in Cog 0.1: {_NOW}"


def remedy(error: BaseException) -> str:
    """A line below a traceback of an import that fails for a package that came with Cog, or because it is relative; "" below any
    other."""
    shown: BaseException | None = error
    for _ in range(_DEEPEST):
        if shown is None:
            break
        if is_a(shown, ModuleNotFoundError):
            package = BROUGHT.get(getattr(shown, "name", None) or "")
            if package is not None:
                return _MISSING.format(package)
        elif is_a(shown, ImportError) and "no known parent package" in str(shown):
            return _RELATIVE
        shown = shown.__cause__ or (None if shown.__suppress_context__ else shown.__context__)
    return ""
