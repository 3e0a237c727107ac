"""A method of a model: its inputs, its output, and how it is called."""

from __future__ import annotations

import functools
import types
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Callable, NamedTuple

from cog.errors import OutputError
from cog.input import UNSET, FieldInfo
from cog.internal.contract.annotations import raw
from cog.internal.contract.fields import Field, decode_all, read_field
from cog.internal.contract.kinds import Boolean, Integer, Kind, Mismatch, Number, Text
from cog.internal.contract.result import Result, read_result
from cog.internal.contract.rules import Problem
from cog.internal.contract.type_reader import Reader, Unsupported
from cog.internal.pristine import builtins as __builtins__  # noqa: F401

if TYPE_CHECKING:
    from cog.batch import Batching

_VARARGS, _VARKEYWORDS, _COROUTINE, _GENERATOR, _ASYNC_GENERATOR = 0x04, 0x08, 0x80, 0x20, 0x200


class Parameter(NamedTuple):
    """A parameter of a function. ``default`` is UNSET if it does not have one."""

    name: str
    default: Any


class Signature(NamedTuple):
    """The parameters of a function. They are read from its code, because importing ``inspect``
    takes as long as all the rest.
    """

    parameters: list[Parameter]
    positional_only: list[str]
    has_args: bool
    kwargs: str  # the name of **kwargs; "" if there is none


def signature(function: Any) -> Signature:
    """Read the signature of a plain function. Raises AttributeError for other callables."""
    code = function.__code__
    count = code.co_argcount
    names = code.co_varnames
    defaults = function.__defaults__ or ()
    first = count - len(defaults)
    parameters = [
        Parameter(n, UNSET if i < first else defaults[i - first])
        for i, n in enumerate(names[:count])
    ]
    keyword_defaults = function.__kwdefaults__ or {}
    parameters += [
        Parameter(name, keyword_defaults.get(name, UNSET))
        for name in names[count : count + code.co_kwonlyargcount]
    ]
    after = count + code.co_kwonlyargcount
    has_args = bool(code.co_flags & _VARARGS)
    kwargs = names[after + has_args] if code.co_flags & _VARKEYWORDS else ""
    return Signature(parameters, list(names[: code.co_posonlyargcount]), has_args, kwargs)


def lacks_self(owner: type, function: Any, reader: Reader) -> str:
    """Return the input in the place of ``self``, if the author has forgotten ``self``, else "".
    Because the parameter for the object may have any name, its annotation and default decide.
    """
    code = getattr(function, "__code__", None)
    if code is None or not code.co_argcount or code.co_varnames[0] == "self":
        return ""
    first = signature(function).parameters[0]
    annotation = raw(function).get(first.name)
    if isinstance(first.default, FieldInfo):
        return first.name
    if annotation in (None, "Any", "object", Any, object, owner.__name__):
        return ""
    try:
        found, _ = reader.input(annotation)
    except (Unsupported, Problem):  # the annotation is Self, or a class of the author
        return ""
    return "" if found.text == Kind.text else first.name


def innermost(function: Any, name: str) -> Any:
    """Return the function that the author has written, below its decorators. It is found by
    ``__wrapped__``, and for a wrapper that takes any arguments also in its closure.
    """
    seen = set()
    while id(function) not in seen:
        seen.add(id(function))
        if isinstance(function, functools.partial):
            function = function.func
        elif isinstance(function, (staticmethod, classmethod)):
            function = function.__func__
        elif hasattr(function, "__wrapped__"):
            function = function.__wrapped__
        elif isinstance(function, types.FunctionType) and _takes_anything(function):
            function = _in_closure(function, name) or function
    return function


def raw_attribute(owner: type, name: str) -> Any:
    """Return an attribute of a class as it was written, such as a staticmethod, or None."""
    return next((vars(base)[name] for base in owner.__mro__ if name in vars(base)), None)


def _takes_anything(function: types.FunctionType) -> bool:
    """Whether a function takes ``(*args, **kwargs)``, with or without a parameter for the
    object.
    """
    found = signature(function)
    return found.has_args and bool(found.kwargs) and len(found.parameters) < 2


def _in_closure(function: types.FunctionType, name: str) -> Any | None:
    """Return the function of that name that a wrapper calls, directly or through other wrappers
    that take any arguments.
    """
    wrappers, seen = [function], {function}
    for wrapper in wrappers:
        for inner in _closure(wrapper).values():
            if not isinstance(inner, types.FunctionType) or inner in seen:
                continue
            if inner.__name__ == name:
                return inner
            seen.add(inner)
            if _takes_anything(inner):
                wrappers.append(inner)
    return None


def _hider(function: Any, name: str) -> tuple[str, str] | None:
    """Return the decorator that has replaced a method, and the line that its author must add to it.
    Returns None for the method itself.
    """
    if not hasattr(function, "__code__"):
        remedy = "call functools.update_wrapper(self, function) in its __init__"
        return type(function).__name__, remedy
    decorator, _, inside = function.__qualname__.partition(".<locals>.")
    if not inside or function.__name__ == name:
        return None
    return decorator, f"write @functools.wraps(function) above its def {function.__name__}"


def is_async(function: Any) -> bool:
    """Whether a call of it returns a coroutine or an async generator."""
    while isinstance(function, functools.partial):
        function = function.func
    function = getattr(function, "__func__", function)
    code = getattr(function, "__code__", None)
    if code is None:
        call = getattr(type(function), "__call__", None)  # noqa: B004 - of the type alone
        return hasattr(call, "__code__") and is_async(call)
    return bool(code.co_flags & (_COROUTINE | _ASYNC_GENERATOR))


#: Outputs of these kinds cannot be or contain files.
_PLAIN = (Text, Integer, Number, Boolean)


class OutputType:
    """The type of a method's output, or of the items of an iterator."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self.files = type(kind) not in _PLAIN  # whether the output may contain files

    def check(self, value: Any) -> Any:
        """Return the value, converted to the type without loss. Raises OutputError with the JSON
        path.
        """
        if value is None:
            return None
        try:
            return self._kind.check(value)
        except Mismatch as error:
            raise OutputError(f"output{error.where}: {error.text}") from None


class Method:
    """``predict`` or ``train``. ``target`` is the callable, which is bound to the object when the
    model is set up.
    """

    def __init__(
        self, name: str, function: Any, fields: list[Field], result: Result, open_ended: bool
    ) -> None:
        self.name = name
        self.function = function
        self.fields = fields
        self.result = result
        self.open_ended = open_ended
        self.is_async = is_async(function) or is_async(innermost(function, name))
        self.is_iterator = result.is_iterator
        self.output = OutputType(result.kind)
        self.streaming = bool(_mark(function, name, "__cog_streaming__"))
        self.batching = batching(function, name)
        self.target: Callable[..., Any] = function

    def call(self, arguments: dict[str, Any]) -> Any:
        """Run the user's code, and return its result unchanged."""
        return self.target(**arguments)

    def decode(self, values: Mapping[str, Any], files: Mapping[str, str]) -> dict[str, Any]:
        """Return the arguments for the input of a request. Raises InputError."""
        arguments = decode_all(self.fields, values, files)
        if self.open_ended:
            arguments.update({k: v for k, v in values.items() if k not in arguments})
        return arguments


def _mark(function: Any, name: str, attribute: str) -> Any:
    found = getattr(function, attribute, None)
    return found if found is not None else getattr(innermost(function, name), attribute, None)


def concurrency(function: Any, name: str) -> int | None:
    """Return the N of a function's ``@concurrent(max=N)``, or None."""
    limit: int | None = _mark(function, name, "__cog_concurrent__")
    return limit


def batching(function: Any, name: str) -> Batching | None:
    """Return the arguments of a function's ``@batch``, or None."""
    found: Batching | None = _mark(function, name, "__cog_batch__")
    return found


class MethodReader:
    """Reads one function of a model, and collects all its problems."""

    def __init__(
        self, name: str, function: Any, owner: type | None, scope: Mapping[str, Any]
    ) -> None:
        self._name = name
        self._function = function
        self._inner = innermost(function, name)
        # The class whose object is the first parameter. None if there is no such parameter.
        self._owner = owner
        self._batched = batching(function, name) is not None
        self._reader = Reader(
            {**getattr(self._inner, "__globals__", {}), **_closure(self._inner), **scope}
        )
        self.problems: list[tuple[str, str]] = []  # the parameter, or "", and the text
        self.warnings: list[tuple[str, str]] = []  # likewise

    def read(self) -> Method | None:
        """Return the method, or None if there are problems."""
        found = self._signature()
        if found is None:
            return None
        annotations = (
            raw(self._inner) if hasattr(self._inner, "__code__") else _annotations_of(self._inner)
        )
        fields = []
        for parameter in found.parameters:
            field = self._field(parameter, annotations)
            if field is not None:
                fields.append(field)
        result = self._result(annotations)
        if result is not None:
            self._check_yield(result)
        if self.problems or result is None:
            if found.has_args or {"return", *(p.name for p in found.parameters)} - set(annotations):
                self._blame_decorator()
            return None
        return Method(self._name, self._function, fields, result, bool(found.kwargs))

    def _problem(self, text: str, parameter: str = "") -> None:
        self.problems.append((parameter, text))

    def _blame_decorator(self) -> None:
        """If a wrapper has replaced the method, report that alone. Problems of the wrapper's own
        parameters would mislead, because they are not inputs.
        """
        hider = _hider(self._inner, self._name)
        if hider is not None:
            self.problems = [
                ("", f"the decorator {hider[0]} hides the inputs of {self._name}: {hider[1]}")
            ]

    def _signature(self) -> Signature | None:
        try:
            found = signature(self._inner)
        except AttributeError:
            found = _odd_signature(self._inner)
        if self._owner is not None:
            first = lacks_self(self._owner, self._inner, self._reader)
            if first:
                self._problem(f"{self._name} has no self: write def {self._name}(self, {first}: …)")
            elif not found.parameters:
                if not (found.has_args and found.kwargs):
                    self._problem(f"{self._name} has no self: write def {self._name}(self, …)")
                    return None
            else:
                found = found._replace(
                    parameters=found.parameters[1:], positional_only=found.positional_only[1:]
                )
        for name in found.positional_only:
            self._problem("is positional-only, but inputs are passed by name: remove the /", name)
        if found.has_args:
            self._problem(f"{self._name} has *args, but an input needs a name: write each one out")
        if found.kwargs and found.parameters:
            self._problem(f"{self._name} has **{found.kwargs} and other inputs: write each one out")
        if self._batched:
            self._check_batched(found)
        return found

    def _check_yield(self, result: Result) -> None:
        """Refuse a generator whose annotation is one value. A decorated generator is accepted,
        because its decorator may make one value of the items.
        """
        written = getattr(self._function, "__func__", self._function)
        flags = getattr(getattr(written, "__code__", None), "co_flags", 0)
        if (
            written is not self._inner
            or result.is_iterator
            or self._batched
            or not flags & (_GENERATOR | _ASYNC_GENERATOR)
        ):
            return
        if result.takes_items():
            return
        iterator = "AsyncIterator" if flags & _ASYNC_GENERATOR else "Iterator"
        text = (
            f"{self._name} yields, but its output type is {result.kind.text}:"
            f" write -> {iterator}[…], or return in place of yield"
        )
        self._problem(text, "return")

    def _check_batched(self, found: Signature) -> None:
        if self._name == "train":
            self._problem("train cannot be batched: remove @batch")
        if found.kwargs or not found.parameters:
            self._problem(
                f"{self._name} with @batch needs inputs with names:"
                " their lists say how large a batch is"
            )
        if getattr(getattr(self._inner, "__code__", None), "co_flags", 0) & (
            _GENERATOR | _ASYNC_GENERATOR
        ):
            self._problem(
                f"{self._name} with @batch cannot yield:"
                " return a list with one result for each prediction"
            )
        if _mark(self._function, self._name, "__cog_streaming__"):
            self._problem(
                f"{self._name} has @batch and @streaming, but a batch is answered as a whole:"
                " keep one of them"
            )

    def _field(self, parameter: Parameter, annotations: Mapping[str, Any]) -> Field | None:
        if parameter.name not in annotations:
            self._problem(
                f"has no type annotation: write {parameter.name}: str, for example", parameter.name
            )
            return None
        try:
            annotation = annotations[parameter.name]
            if self._batched:
                annotation = self._reader.item_of_batch(annotation, f"{parameter.name}: ")
            kind, said = self._reader.input(annotation)
            for mark in said:
                if type(mark).__module__.split(".")[0] in _OTHERS:
                    self._warn(
                        parameter.name, f"{mark!r:.80} has no effect: write Input(…) in its place"
                    )
            default = _default_of(
                parameter.default, [mark for mark in said if isinstance(mark, FieldInfo)]
            )
            warn = functools.partial(self._warn, parameter.name)
            return read_field(parameter.name, kind, default, warn)
        except (Unsupported, Problem) as error:
            self._problem(str(error), parameter.name)
            return None

    def _warn(self, parameter: str, text: str) -> None:
        self.warnings.append((parameter, text))

    def _result(self, annotations: Mapping[str, Any]) -> Result | None:
        if "return" not in annotations:
            self._problem(f"{self._name} needs an output type: write -> str, for example", "return")
            return None
        try:
            if self._batched:
                return self._result_of_batch(annotations["return"])
            return read_result(annotations["return"], self._reader)
        except Unsupported as error:
            self._problem(f"{self._name} needs an output type of Cog: {error}", "return")
            return None

    def _result_of_batch(self, annotation: Any) -> Result | None:
        result = read_result(
            self._reader.item_of_batch(annotation, "-> ", failures=True), self._reader
        )
        if result.is_iterator:
            self._problem(
                f"{self._name} with @batch cannot yield: write -> list[str], for example", "return"
            )
        return result


#: Libraries whose rules in ``Annotated`` have an effect in their own models alone.
_OTHERS = ("pydantic", "annotated_types", "msgspec")


def _default_of(default: Any, said: list[FieldInfo]) -> Any:
    """Return the default of a parameter, joined with the `Input` of its ``Annotated``. Raises
    Problem if both give a default, or if there are two Inputs.
    """
    if not said:
        return default
    if len(said) > 1 or isinstance(default, FieldInfo):
        raise Problem("has Input(…) twice: write it once")
    if default is UNSET:
        return said[0]
    if said[0].default is not UNSET or said[0].default_factory is not None:
        raise Problem("has a default in Input(…) and one after the = sign: keep one of them")
    others = {name: getattr(said[0], name) for name in FieldInfo.__slots__[1:]}
    return FieldInfo(default, **others)


def _closure(function: Any) -> dict[str, Any]:
    """Return the names that a function sees from the functions around it, with their values."""
    code = getattr(function, "__code__", None)
    out = {}
    for name, cell in zip(
        code.co_freevars if code else (), getattr(function, "__closure__", None) or ()
    ):
        try:
            out[name] = cell.cell_contents
        except ValueError:
            continue
    return out


def _annotations_of(target: Any) -> dict[str, Any]:
    call = getattr(type(target), "__call__", None)  # noqa: B004 - of the type alone
    return raw(call) if hasattr(call, "__code__") else {}


def _odd_signature(target: Any) -> Signature:
    """Return the signature of a callable that is not a function."""
    import inspect  # local, because such callables are rare

    parameters, args, kwargs = [], False, ""
    for p in inspect.signature(target).parameters.values():
        if p.kind is p.VAR_POSITIONAL:
            args = True
        elif p.kind is p.VAR_KEYWORD:
            kwargs = p.name
        else:
            parameters.append(Parameter(p.name, UNSET if p.default is p.empty else p.default))
    return Signature(parameters, [], args, kwargs)
