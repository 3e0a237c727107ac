"""Finds the types that annotations mean, at run time and on Python 3.9 and later.

``typing.get_type_hints`` cannot be used, for three reasons:

- On 3.9 and 3.10 it makes ``x: int = None`` optional.
- It fails as a whole if one name is missing.
- On 3.9 it cannot evaluate ``"int | None"``.
"""

from __future__ import annotations

import sys
import typing
from collections.abc import Mapping
from typing import Any, Union

from cog.internal.pristine import builtins as __builtins__  # noqa: F401

_UNION = "__cog_union__"


class Unresolved(Exception):
    """An annotation uses a name that does not exist."""


def raw(target: Any) -> dict[str, Any]:
    """Return the annotations of a function or class as they were written. Strings stay strings."""
    if sys.version_info >= (3, 14):
        # Evaluates each one by itself, so that a name that only a type checker knows does not make
        # the others fail.
        import annotationlib

        return dict(annotationlib.get_annotations(target, format=annotationlib.Format.FORWARDREF))
    if isinstance(target, type):  # not by getattr, which would find those of a base class
        return dict(vars(target).get("__annotations__") or {})
    return dict(getattr(target, "__annotations__", None) or {})


def resolve(annotation: Any, scope: Mapping[str, Any]) -> Any:
    """Return the type that an annotation means, with quoted names looked up in ``scope``. Raises
    Unresolved.
    """
    if annotation is None:
        return type(None)
    if isinstance(annotation, typing.ForwardRef):
        annotation = annotation.__forward_arg__
    if not isinstance(annotation, str):
        return annotation
    import ast  # local, because only quoted and postponed annotations need it

    try:
        tree = ast.parse(annotation.strip(), mode="eval")
    except SyntaxError as error:
        raise Unresolved(f"{annotation!r} is not a type: {error.msg}") from None
    code = compile(ast.fix_missing_locations(_union_rewriter().visit(tree)), "<annotation>", "eval")
    try:
        # The annotation is the author's own code, so evaluating it is safe.
        value = eval(code, {**vars(typing), **scope, _UNION: _union})  # noqa: S307
    except Exception as error:
        raise Unresolved(f"{annotation!r} cannot be resolved: {error}") from None
    return (
        resolve(value, scope)
        if isinstance(value, (str, typing.ForwardRef))
        else (type(None) if value is None else value)
    )


def _union(left: Any, right: Any) -> Any:
    """Return ``left | right``, which Python 3.9 cannot evaluate."""
    return Union[left, right]


def _union_rewriter() -> Any:
    import ast

    class Rewriter(ast.NodeTransformer):
        def visit_BinOp(self, node: ast.BinOp) -> ast.AST:  # noqa: N802 - ast's name
            self.generic_visit(node)
            if not isinstance(node.op, ast.BitOr):
                return node
            return ast.Call(ast.Name(_UNION, ast.Load()), [node.left, node.right], [])

        def visit_Subscript(self, node: ast.Subscript) -> ast.AST:  # noqa: N802
            # The values of a Literal are not types.
            if getattr(node.value, "id", getattr(node.value, "attr", "")) != "Literal":
                self.generic_visit(node)
            return node

    return Rewriter()


def members(annotation: Any) -> tuple[Any, ...]:
    """Return the members of a Union in either spelling, or () for any other type."""
    origin = typing.get_origin(annotation)
    if origin is Union or (
        sys.version_info >= (3, 10) and type(annotation).__name__ in ("UnionType", "Union")
    ):
        return typing.get_args(annotation)
    return ()


def strip(annotation: Any) -> tuple[Any, tuple[Any, ...]]:
    """Return the type inside ``Annotated``, and the marks after it."""
    said: tuple[Any, ...] = ()
    while hasattr(annotation, "__metadata__"):
        said += tuple(annotation.__metadata__)
        annotation = annotation.__origin__
    return annotation, said


def stands_for(annotation: Any) -> tuple[Any, Any] | None:
    """Return the name and its type, for ``type X = …``, for ``X[int]`` of a generic X, and for a
    NewType. Returns None for anything else. Raises Unresolved.
    """
    if hasattr(annotation, "__supertype__"):
        return annotation, annotation.__supertype__
    name = typing.get_origin(annotation) or annotation
    if type(name).__name__ != "TypeAliasType":  # in typing since 3.12, before in typing_extensions
        return None
    try:
        value = name.__value__
    except Exception as error:
        raise Unresolved(f"{name} cannot be resolved: {error}") from None
    arguments = dict(zip(name.__type_params__, typing.get_args(annotation)))
    wanted = getattr(value, "__parameters__", ())
    if not arguments or not wanted:
        return name, arguments.get(value, value) if isinstance(value, typing.TypeVar) else value
    return name, value[tuple(arguments.get(parameter, parameter) for parameter in wanted)]


def show(annotation: Any) -> str:
    """Return the annotation as its author would write it."""
    if isinstance(annotation, type) and not typing.get_args(annotation):
        return annotation.__name__
    return str(annotation).replace("typing.", "")
