"""Finds out what an annotation means: at run time, on every Python from 3.9 on.

``typing.get_type_hints`` does not serve: on 3.9 and 3.10 it makes ``x: int = None`` optional, it
fails as a whole when one name is missing, and it can't evaluate ``"int | None"`` on 3.9.
"""

from __future__ import annotations

import sys
import typing
from collections.abc import Mapping
from typing import Any, Union

from cog.internal.pristine import builtins as __builtins__  # noqa: F401

_UNION = "__cog_union__"


class Unresolved(Exception):
    """An annotation names something that is not there."""


def raw(target: Any) -> dict[str, Any]:
    """The annotations of a function or class as they were written; strings stay strings."""
    if sys.version_info >= (3, 14):
        import annotationlib  # evaluates lazily: a name that only a type checker knows must not fail the others

        return dict(annotationlib.get_annotations(target, format=annotationlib.Format.FORWARDREF))
    if isinstance(target, type):  # of the class itself: getattr would find those of a base
        return dict(vars(target).get("__annotations__") or {})
    return dict(getattr(target, "__annotations__", None) or {})


def resolve(annotation: Any, scope: Mapping[str, Any]) -> Any:
    """The type that an annotation means, with quoted names looked up in ``scope``. Raises
    Unresolved.
    """
    if annotation is None:
        return type(None)
    if isinstance(annotation, typing.ForwardRef):
        annotation = annotation.__forward_arg__
    if not isinstance(annotation, str):
        return annotation
    import ast  # only quoted and postponed annotations need it

    try:
        tree = ast.parse(annotation.strip(), mode="eval")
    except SyntaxError as error:
        raise Unresolved(f"{annotation!r} is not a type: {error.msg}") from None
    code = compile(ast.fix_missing_locations(_union_rewriter().visit(tree)), "<annotation>", "eval")
    try:
        value = eval(code, {**vars(typing), **scope, _UNION: _union})  # noqa: S307 - the author's own annotation
    except Exception as error:
        raise Unresolved(f"{annotation!r} cannot be resolved: {error}") from None
    return (
        resolve(value, scope)
        if isinstance(value, (str, typing.ForwardRef))
        else (type(None) if value is None else value)
    )


def _union(left: Any, right: Any) -> Any:
    """``left | right``, which 3.9 does not have."""
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
            # The values of a Literal are no types.
            if getattr(node.value, "id", getattr(node.value, "attr", "")) != "Literal":
                self.generic_visit(node)
            return node

    return Rewriter()


def members(annotation: Any) -> tuple[Any, ...]:
    """The members of a Union in either spelling; empty for any other type."""
    origin = typing.get_origin(annotation)
    if origin is Union or (
        sys.version_info >= (3, 10) and type(annotation).__name__ in ("UnionType", "Union")
    ):
        return typing.get_args(annotation)
    return ()


def strip(annotation: Any) -> tuple[Any, tuple[Any, ...]]:
    """The type inside ``Annotated`` and ``Final``-like wrappers, and what else was said there."""
    said: tuple[Any, ...] = ()
    while hasattr(annotation, "__metadata__"):
        said += tuple(annotation.__metadata__)
        annotation = annotation.__origin__
    return annotation, said


def stands_for(annotation: Any) -> tuple[Any, Any] | None:
    """The name and the type behind it, for ``type X = …``, for ``X[int]`` where that is generic,
    and for a NewType; None for anything else. Raises Unresolved.
    """
    if hasattr(annotation, "__supertype__"):
        return annotation, annotation.__supertype__
    name = typing.get_origin(annotation) or annotation
    if type(name).__name__ != "TypeAliasType":  # of typing from 3.12 on, else of typing_extensions
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
    """The annotation as its author would write it."""
    if isinstance(annotation, type) and not typing.get_args(annotation):
        return annotation.__name__
    return str(annotation).replace("typing.", "")
