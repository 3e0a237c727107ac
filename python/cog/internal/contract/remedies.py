"""Remedies for models that expect packages that came with Cog, names that Cog had in 2021, a
package around their file, a name that `cog` does not have, or a module of their own that has the
name of a standard module.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any

from cog.internal.contract.exception_text import is_a
from cog.internal.contract.search import namesake
from cog.internal.pristine import builtins as __builtins__  # noqa: F401
from cog.internal.pristine import os, re

#: The modules that a release of Cog has installed, with the names of their packages.
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
    "write class Predictor(cog.BasePredictor), and each @cog.input(NAME, type=T, help=…,"
    " default=…, min=…, max=…, options=…) as a parameter of predict, NAME: T ="
    " cog.Input(description=…, default=…, ge=…, le=…, choices=…); predict also needs the type of"
    " its output"
)

_MISSING = (
    "{0} came with Cog. Coggo does not install packages:"
    " install it with those of the model, pip install {0}\n"
)

_RELATIVE = (
    "the file of the model is not part of a package:"
    " write from helper import … for from .helper import …\n"
)

#: The arguments of `Input`, by their names in Cog of 2021, in pydantic and in JSON Schema.
_SPELLED = {
    "enum": "choices",
    "help": "description",
    "max": "le",
    "maximum": "le",
    "min": "ge",
    "minimum": "ge",
    "options": "choices",
    "pattern": "regex",
}

_IN_PLACE = "import {0} finds {1} in the place of Python's own module, which others need too: rename the file\n"

_HIDDEN = "import {0} does not find {1}: {2} has that name; rename the file\n"

_DEEPEST = 100  # because causes may form a cycle


def replaced(name: str) -> str:
    """Return the message for a name that Cog had until 2021, with its replacement."""
    return f"{name} was replaced in Cog 0.1: {_NOW}"


def remedy(error: BaseException, told: str = "") -> str:
    """Return the remedy to add to the end of the traceback ``told``, or "" if there is none."""
    for shown in _causes(error):
        found = _remedy(shown, told)
        if found:
            return found
    return ""


def _causes(error: BaseException) -> Iterator[BaseException]:
    shown: BaseException | None = error
    for _ in range(_DEEPEST):
        if shown is None:
            return
        yield shown
        shown = shown.__cause__ or (None if shown.__suppress_context__ else shown.__context__)


def _remedy(error: BaseException, told: str) -> str:
    renamed = _of_namesake(error, told)
    if renamed:
        return renamed
    if is_a(error, ModuleNotFoundError):
        return _of_module(getattr(error, "name", None) or "", told)
    text = str(error)
    if is_a(error, ImportError) and "no known parent package" in text:
        return _RELATIVE
    if is_a(error, (ImportError, AttributeError)):
        found = re.match(
            r"(?:cannot import name|module 'cog' has no attribute) '(\w+)'(?: from 'cog' |$)", text
        )
        return _did_you_mean(found[1], _names(), told) if found else ""
    if is_a(error, TypeError):
        found = re.match(r"(\w+)\(\) got an unexpected keyword argument '(\w+)'", text)
        return _of_argument(found[1], found[2], told) if found else ""
    return ""


def _of_namesake(error: BaseException, told: str) -> str:
    """Remedy a name that a module lacks while a file of the model has the name of that module."""
    if not is_a(error, (ImportError, AttributeError)):
        return ""
    said = re.search(r"module '([\w.]+)' has no attribute", str(error))
    name = (said[1] if said else getattr(error, "name", None) or "").partition(".")[0]
    path = namesake(name)
    if path is None or name not in sys.modules or f"consider renaming '{path}'" in told:
        return ""  # newer Pythons say it by themselves
    found = getattr(sys.modules[name], "__file__", None) or ""
    if os.path.realpath(found) == os.path.realpath(path):
        return _IN_PLACE.format(name, path)
    owner = (
        "the package of Coggo" if name == "cog" else "Python's own module, which the runner uses,"
    )
    return _HIDDEN.format(name, path, owner)


def _of_module(name: str, told: str) -> str:
    if name.startswith("cog."):
        return _did_you_mean(name, [f"cog.{known}" for known in _names()], told)
    from cog.internal.contract.packages import advice

    package = BROUGHT.get(name)
    return advice(name) + (_MISSING.format(package) if package is not None else "")


def _names() -> list[str]:
    """Return all names and modules of ``cog``."""
    import cog

    return [*cog.__all__, *cog._MODULES]


def _of_argument(function: str, wrong: str, told: str) -> str:
    """Return the remedy for a keyword argument that a function of ``cog`` does not have."""
    import cog

    if function not in cog.__all__:
        return ""
    code = getattr(getattr(cog, function), "__code__", None)
    if code is None:
        return ""
    if function == "Input" and wrong in _SPELLED:
        return f"Input has {_SPELLED[wrong]} for {wrong}\n"
    return _did_you_mean(wrong, code.co_varnames[: code.co_argcount + code.co_kwonlyargcount], told)


def _did_you_mean(wrong: str, known: Iterable[Any], told: str) -> str:
    import difflib  # local, because its import takes as long as that of the whole runner

    for name in difflib.get_close_matches(wrong, known, 1):
        said = re.search(f"Did you mean:? '{name}'", told)  # newer Pythons suggest it
        return "" if said else f"Did you mean: '{name}'?\n"
    return ""
