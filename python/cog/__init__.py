"""The package that a Cog model imports. It needs only the standard library.

Because a cold start is billed, each name is imported when it is first used.
"""

from __future__ import annotations

# Not from typing, because at this point a model's file of that name could replace that module.
TYPE_CHECKING = False

__version__ = "0.2.0"

if TYPE_CHECKING:
    from cog.base_predictor import BasePredictor as BasePredictor
    from cog.base_predictor import BaseRunner as BaseRunner
    from cog.batch import batch as batch
    from cog.coder import Coder as Coder
    from cog.errors import CancelationException as CancelationException
    from cog.errors import ExperimentalFeatureWarning as ExperimentalFeatureWarning
    from cog.input import FieldInfo as FieldInfo
    from cog.input import Input as Input
    from cog.model import BaseModel as BaseModel
    from cog.predictor import concurrent as concurrent
    from cog.predictor import streaming as streaming
    from cog.scope import Scope as Scope
    from cog.scope import current_scope as current_scope
    from cog.scope import emit_metric as emit_metric
    from cog.types import AsyncConcatenateIterator as AsyncConcatenateIterator
    from cog.types import ConcatenateIterator as ConcatenateIterator
    from cog.types import File as File
    from cog.types import Opaque as Opaque
    from cog.types import Path as Path
    from cog.types import Secret as Secret
    from cog.types import URLFile as URLFile
    from cog.types import URLPath as URLPath

_HOMES: dict[str, str] = {
    "AsyncConcatenateIterator": "types",
    "BaseModel": "model",
    "BasePredictor": "base_predictor",
    "BaseRunner": "base_predictor",
    "CancelationException": "errors",
    "Coder": "coder",
    "ConcatenateIterator": "types",
    "ExperimentalFeatureWarning": "errors",
    "FieldInfo": "input",
    "File": "types",
    "Input": "input",
    "Opaque": "types",
    "Path": "types",
    "Scope": "scope",
    "Secret": "types",
    "URLFile": "types",
    "URLPath": "types",
    "batch": "batch",
    "concurrent": "predictor",
    "current_scope": "scope",
    "emit_metric": "scope",
    "streaming": "predictor",
}

#: Modules that are attributes after ``import cog``, as in ``cog.types.File``.
_MODULES = (
    "base_predictor",
    "coder",
    "errors",
    "exceptions",
    "files",
    "input",
    "json",
    "mode",
    "model",
    "predictor",
    "server",
    "suppress_output",
    "types",
)

__all__: list[str] = sorted([*_HOMES, "__version__"])


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None and name not in _MODULES:
        if name in ("Model", "Predictor"):
            from cog.internal.contract.remedies import replaced

            # Not an AttributeError, because ``from cog import Predictor`` would discard its text.
            raise ImportError(replaced(f"cog.{name}"), name="cog")
        raise AttributeError(f"module 'cog' has no attribute {name!r}")
    from importlib import import_module

    if home is None:
        return import_module(f"cog.{name}")
    value: object = getattr(import_module(f"cog.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
