"""Imports a model, and reads and checks its methods."""

from __future__ import annotations

import sys
import types
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from typing import Any, Callable

from cog.base_predictor import BasePredictor, BaseRunner, has_own
from cog.errors import LoadError
from cog.input import UNSET
from cog.internal.contract.direct import as_written, complete
from cog.internal.contract.kinds import is_url
from cog.internal.contract.openapi import document
from cog.internal.contract.search import search_first
from cog.internal.contract.signature import (
    Method,
    MethodReader,
    concurrency,
    innermost,
    is_async,
    raw_attribute,
    signature,
)
from cog.internal.pristine import builtins as __builtins__  # noqa: F401
from cog.internal.pristine import os

_HINT = "write FILE:NAME, such as predict.py:Predictor"

_NO_RETURN = (
    "{} never returns a value, so each output is null:"
    " return one, or write Optional[…] if null is meant"
)


def import_target(ref: str) -> Any:
    """Return the class or function that a reference names. Raises LoadError, and lets exceptions of
    the model's own code through.
    """
    file, separator, name = ref.rpartition(":")
    if not separator or not file or not name:
        raise LoadError([f"{ref!r} is not a reference to a predictor: {_HINT}"], stage="import")
    module = import_file(file)
    try:
        return getattr(module, name)
    except AttributeError:
        there = (
            ", ".join(sorted(n for n, v in vars(module).items() if _defined_in(module, v)))
            or "nothing"
        )
        raise LoadError(
            [f"{file} does not define {name!r}: it defines {there}"], stage="import"
        ) from None


def _defined_in(module: types.ModuleType, value: Any) -> bool:
    return callable(value) and getattr(value, "__module__", None) == module.__name__


def import_file(file: str) -> types.ModuleType:
    """Import a file by its path, once. Raises LoadError if it does not exist or calls
    sys.exit().
    """
    path = os.path.abspath(file)
    if not os.path.isfile(path):
        there = ", ".join(sorted(n for n in os.listdir() if n.endswith(".py"))) or "nothing"
        raise LoadError(
            [f"{file}: no such file in {os.getcwd()}, whose Python files are: {there}"],
            stage="import",
        )
    search_first(os.path.dirname(path), os.getcwd())
    name = os.path.splitext(os.path.basename(path))[0]
    known = sys.modules.get(name)
    if known is not None and os.path.realpath(
        getattr(known, "__file__", None) or ""
    ) == os.path.realpath(path):
        return known
    if known is not None:
        name = f"cog_model_{name}"
    loader = SourceFileLoader(name, path)
    spec = spec_from_loader(name, loader)
    assert spec is not None
    module = module_from_spec(spec)
    # Before it runs, because dataclasses and pickle look it up there.
    sys.modules[name] = module
    argv, sys.argv = sys.argv, [path]  # so that a module that parses its arguments has none
    try:
        loader.exec_module(module)
    except SystemExit as error:
        text = (
            f"{file} calls sys.exit({error.code!r}) when it is imported:"
            " do that under if __name__ == '__main__'"
        )
        raise LoadError([text], stage="import") from error
    finally:
        sys.argv = argv
    return module


class Model:
    """A model that has been imported, but not set up."""

    def __init__(
        self,
        directory: str,
        target: Any,
        predict: Method,
        train: Method | None,
        max_concurrency: int,
        made: Any | None,
        warnings: list[str],
    ) -> None:
        self.directory = directory
        self._target = target
        self._object: Any = made
        self.warnings = warnings
        self.predict = predict
        self.train = train
        self.max_concurrency = max_concurrency
        setup = getattr(target, "setup", None) if isinstance(target, type) else None
        self.mode = "async" if predict.is_async or is_async(setup) else "sync"
        healthcheck = getattr(target, "healthcheck", None) if isinstance(target, type) else None
        self.has_healthcheck = callable(healthcheck)
        self.has_async_healthcheck = is_async(healthcheck)

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document of the model."""
        return document(self.predict, self.train)

    def setup(self) -> Any:
        """Make the object and call its ``setup()``. Returns a coroutine if that is async."""
        if not isinstance(self._target, type):
            return None
        if self._object is None:
            self._object = self._target()
        self.predict.target = as_written(getattr(self._object, self.predict.name))
        if self.train is not None and _of_class(self._target, self.train):
            self.train.target = as_written(getattr(self._object, self.train.name))
        setup = getattr(self._object, "setup", None)
        if setup is None:
            return None
        return setup(**weights_of(setup))

    def healthcheck(self) -> Any:
        """Call the model's ``healthcheck()``. Returns a coroutine if that is async."""
        return self._object.healthcheck()


def _of_class(target: type, method: Method) -> bool:
    return getattr(target, method.name, None) is method.function


def takes_weights(setup: Callable[..., Any]) -> bool:
    """Whether ``setup`` has a parameter ``weights``."""
    try:
        parameters = signature(_written(setup)).parameters
    except AttributeError:
        return False
    return any(parameter.name == "weights" for parameter in parameters)


def weights_of(setup: Callable[..., Any]) -> dict[str, Any]:
    """Return the ``weights`` argument of ``setup``, if it takes one: $COG_WEIGHTS, else ./weights
    if that exists, else None.
    """
    return {"weights": _weights_value(_written(setup))} if takes_weights(setup) else {}


def _written(setup: Callable[..., Any]) -> Any:
    return innermost(getattr(setup, "__func__", setup), "setup")


def _weights_value(function: Any) -> Any:
    from cog.internal.contract.annotations import Unresolved, members, raw, resolve
    from cog.types import File, Path, URLFile, URLPath, get_filename

    source = os.environ.get("COG_WEIGHTS", "")
    if not source:
        return Path("weights") if os.path.exists("weights") else None
    try:
        wanted = resolve(raw(function).get("weights"), function.__globals__)
        some = [resolve(m, function.__globals__) for m in members(wanted) if m is not type(None)]
        wanted = some[0] if len(some) == 1 else wanted  # Optional[Path] and the like
    except Unresolved:
        wanted = None
    if wanted is str:
        return source
    if wanted is File:
        return URLFile(source) if is_url(source) else open(source, "rb")
    if not is_url(source):
        return Path(source)
    if isinstance(wanted, type) and issubclass(wanted, os.PathLike):
        return URLPath(source=source, filename=get_filename(source))
    return source


class _Loader:
    """Collects the problems of a model, and the oddities that work, so that its author sees all of
    them at once.
    """

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.warnings: list[str] = []

    def method(self, name: str, owner: Any, ref: str) -> Method | None:
        """Read the method ``name`` of a class, or a function."""
        bound = isinstance(owner, type)
        if isinstance(owner, type):
            complete(owner)
        function = raw_attribute(owner, name) if bound else owner
        if not callable(function) and not isinstance(function, (staticmethod, classmethod)):
            self._add(owner, ref, "", f"{name} is a {type(function).__name__}, not a method")
            return None
        is_static = isinstance(function, staticmethod)
        scope = (
            vars(sys.modules[owner.__module__]) if bound and owner.__module__ in sys.modules else {}
        )
        reader = MethodReader(
            name,
            getattr(owner, name) if bound else owner,
            owner if bound and not is_static else None,
            scope,
        )
        method = reader.read()
        inner = innermost(getattr(function, "__func__", function), name)
        for parameter, text in reader.problems:
            self._add(inner, ref, parameter, text)
        self.warnings += [_told(inner, ref, parameter, text) for parameter, text in reader.warnings]
        return method

    def setup(self, owner: Any, ref: str) -> None:
        """Check that ``setup`` can be called without arguments, or with ``weights``."""
        setup = getattr(owner, "setup", None)
        if setup is None:
            return
        if not callable(setup):
            self._add(owner, ref, "setup", f"setup is a {type(setup).__name__}, not a method")
            return
        function = innermost(setup, "setup")
        if not hasattr(function, "__code__"):
            return
        found = signature(function)
        is_static = isinstance(raw_attribute(owner, "setup"), staticmethod)
        first = found.parameters[0].name if found.parameters else ""
        if not is_static and (first == "weights" or (not first and not found.has_args)):
            self._add(
                function,
                ref,
                "self",
                "setup has no self: write def setup(self" + (f", {first})" if first else ")"),
            )
            return
        for parameter in found.parameters[0 if is_static else 1 :]:
            if parameter.default is UNSET and parameter.name != "weights":
                self._add(
                    function,
                    ref,
                    parameter.name,
                    "setup can have only the parameter weights, and parameters with a default",
                )

    def healthcheck(self, owner: Any, ref: str) -> None:
        """Check that ``healthcheck`` can be called without arguments."""
        function = innermost(getattr(owner, "healthcheck", None), "healthcheck")
        if not hasattr(function, "__code__") or isinstance(
            raw_attribute(owner, "healthcheck"), staticmethod
        ):
            return
        found = signature(function)
        if not found.parameters and not found.has_args:
            self._add(function, ref, "self", "healthcheck has no self: write def healthcheck(self)")

    def read_source(self, *methods: Method | None) -> None:
        """Warn of oddities that only the source of a method shows."""
        from cog.internal.contract.source import returns_nothing

        for method in methods:
            if method is not None and returns_nothing(method):
                self.warnings.append(
                    _told(
                        innermost(method.function, method.name),
                        "",
                        "return",
                        _NO_RETURN.format(method.name),
                    )
                )

    def _add(self, target: Any, ref: str, parameter: str, text: str) -> None:
        self.problems.append(_told(target, ref, parameter, text))


def _told(target: Any, ref: str, parameter: str, text: str) -> str:
    return f"{_place(target, ref)}: {parameter + ': ' if parameter else ''}{text}"


def _place(target: Any, ref: str) -> str:
    """Return the file and line of a class or function, as far as they are known."""
    code = getattr(target, "__code__", None)
    if code is not None:
        return f"{os.path.relpath(code.co_filename)}:{code.co_firstlineno}"
    try:
        import inspect  # local, because only problems need it

        file = os.path.relpath(inspect.getsourcefile(target) or "")
        return f"{file}:{inspect.getsourcelines(target)[1]}"
    except (OSError, TypeError, ValueError):
        return ref.rpartition(":")[0]


def _method_name(target: type, ref: str, named: str) -> str:
    """Return ``predict`` or ``run``. Because a model may have a helper with the other name, its
    base class decides. Without one, the member of cog.yaml with the reference decides.
    """
    has = [name for name in ("predict", "run") if has_own(target, name)]
    if not has:
        text = f"the class {target.__name__} has no predict method: write def predict(self, …) -> …"
        raise LoadError([f"{_place(target, ref)}: {text}"])
    if issubclass(target, BaseRunner):
        named = "predict" if issubclass(target, BasePredictor) else "run"
    return named if named in has else has[0]


def load(
    predict_ref: str,
    train_ref: str | None = None,
    max_concurrency: int | None = None,
    named: str = "predict",
    checking: bool = False,
) -> Model:
    """Import a model and read its methods. ``named`` is the member of cog.yaml with the reference:
    ``predict`` or ``run``. Raises LoadError with every problem, and lets exceptions of the model's
    own code through.

    Prints the warnings, except with ``checking``, when the author checks the model. Then the caller
    reads them from the model, and they include oddities in its source.
    """
    directory = os.getcwd()
    target = import_target(predict_ref)
    made = target if _is_object(target) else None
    if made is not None:
        target = type(made)
    if not callable(target):
        raise LoadError(
            [f"{predict_ref} is a {type(target).__name__}, not a class or function: {_HINT}"]
        )
    loader = _Loader()
    if isinstance(target, type):
        name = _method_name(target, predict_ref, named)
        loader.setup(target, predict_ref)
        loader.healthcheck(target, predict_ref)
    else:
        name = "predict"
    predict = loader.method(name, target, predict_ref)
    train = _train(loader, target, predict_ref, train_ref)
    if checking:
        loader.read_source(predict, train)
    else:
        for warning in loader.warnings:
            print(f"warning: {warning}", file=sys.stderr)
    if loader.problems or predict is None:
        raise LoadError(loader.problems or [f"{predict_ref} cannot be read"], loader.warnings)
    size = predict.batching.max_size if predict.batching else 1
    limit = max_concurrency or concurrency(predict.function, name) or size
    if limit > 1 and not predict.is_async and not predict.batching:
        text = (
            f"a concurrency of {limit} needs async def {name} or @cog.batch:"
            " write one of them, or set the concurrency to 1"
        )
        raise LoadError([f"{_place(predict.function, predict_ref)}: {text}"], loader.warnings)
    return Model(directory, target, predict, train, limit, made, loader.warnings)


def _is_object(target: Any) -> bool:
    """Whether a reference names an object of a predictor class, and not the class."""
    return not isinstance(target, type) and any(
        callable(getattr(type(target), name, None)) for name in ("predict", "run")
    )


def _train(loader: _Loader, target: Any, ref: str, train_ref: str | None) -> Method | None:
    owner, name, where = _train_target(target, ref, train_ref)
    if owner is None:
        return None
    if train_ref:
        train = loader.method(name, owner, where)
        if train is not None and isinstance(owner, type) and owner is not target:
            loader.setup(owner, where)
            train.target = _made_when_called(owner, name)
        return train
    # cog.yaml does not name it, so a function that only happens to be called train must not stop
    # the model.
    found = _Loader()
    train = found.method(name, owner, where)
    for problem in found.problems:
        loader.warnings.append(f"{problem} (so train is not served; name it in cog.yaml to insist)")
    if train is not None:
        loader.warnings += found.warnings
    return train


def _made_when_called(owner: type, name: str) -> Callable[..., Any]:
    """Return a method of another class than the predictor. Because most servers never train, the
    first call makes its object and sets it up.
    """
    import threading  # trainings of a model with an async predict run in threads

    lock = threading.Lock()
    made: list[Any] = []

    def call(**arguments: Any) -> Any:
        with lock:
            if not made:
                trainer = owner()
                setup = getattr(trainer, "setup", None)
                if setup is not None:
                    setup(**weights_of(setup))
                made.append(trainer)
        return getattr(made[0], name)(**arguments)

    return call


def _train_target(target: Any, ref: str, train_ref: str | None) -> tuple[Any, str, str]:
    """Find ``train``: by its own reference, as a method of the class, or as a function in the same
    file.
    """
    if train_ref:
        found = import_target(train_ref)
        return found, "train", train_ref
    if isinstance(target, type) and callable(getattr(target, "train", None)):
        return target, "train", ref
    module = sys.modules.get(getattr(target, "__module__", ""))
    beside = getattr(module, "train", None)
    if (
        isinstance(beside, types.FunctionType)
        and beside.__module__ == getattr(target, "__module__", None)
        and beside is not target
    ):
        return beside, "train", ref
    return None, "", ""
