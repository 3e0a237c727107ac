"""Reads the source of a method for oddities that its signature does not show. Because that takes
time, only ``coggo-server check`` does it.
"""

from __future__ import annotations

import ast
import contextlib
import inspect
import textwrap
from collections.abc import Iterator
from typing import Any

from cog.internal.contract.containers import Nullable
from cog.internal.contract.kinds import Anything
from cog.internal.contract.output_kinds import Nothing
from cog.internal.contract.signature import Method, innermost
from cog.internal.pristine import builtins as __builtins__  # noqa: F401
from cog.internal.pristine import os

_NESTED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


def returns_nothing(method: Method) -> bool:
    """Whether a method never returns a value of its output type. False if it may not be meant to be
    called, or if a decorator may return the value.
    """
    kind = method.result.kind
    if isinstance(kind, (Anything, Nothing, Nullable)):
        return False
    function = innermost(method.function, method.name)
    if not _only_passed_on(method.function, function):
        return False
    body = _body(function)
    if not body or _raises(body) or all(map(_is_empty, body)):
        return False
    return not any(_gives(node) for statement in body for node in _own(statement))


def _only_passed_on(outer: Any, inner: Any) -> bool:
    """Whether the decorators between the two return the method's result, as those of contextlib and
    torch do.
    """
    outer, passes = (
        getattr(outer, "__func__", outer),
        (os.path.abspath(contextlib.__file__), f"{os.sep}torch{os.sep}"),
    )
    while outer is not inner:
        file = getattr(getattr(outer, "__code__", None), "co_filename", "")
        if not any(part in file for part in passes) or not hasattr(outer, "__wrapped__"):
            return False
        outer = outer.__wrapped__
    return True


def _body(function: Any) -> list[ast.stmt]:
    """Return the statements of a function without its docstring, or an empty list if its source
    cannot be read.
    """
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError, ValueError):
        return []
    written = tree.body[0]
    if len(tree.body) != 1 or not isinstance(written, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return []
    return written.body[1:] if ast.get_docstring(written, clean=False) is not None else written.body


def _is_empty(statement: ast.stmt) -> bool:
    """Whether a statement is ``pass`` or ``...``, as in a base class."""
    if isinstance(statement, ast.Expr):
        return isinstance(statement.value, ast.Constant)
    return isinstance(statement, ast.Pass)


def _raises(body: list[ast.stmt]) -> bool:
    """Whether statements always end in an exception."""
    last = body[-1]
    if isinstance(last, ast.If):
        return bool(last.orelse) and _raises(last.body) and _raises(last.orelse)
    return (
        _raises(last.body)
        if isinstance(last, (ast.With, ast.AsyncWith))
        else isinstance(last, ast.Raise)
    )


def _own(node: ast.AST) -> Iterator[ast.AST]:
    """Yield a statement and all nodes in it, except the bodies of functions and classes."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not isinstance(node, _NESTED):
            yield from _own(child)


def _gives(node: ast.AST) -> bool:
    if isinstance(node, ast.Return):
        return node.value is not None and not (
            isinstance(node.value, ast.Constant) and node.value.value is None
        )
    return isinstance(node, (ast.Yield, ast.YieldFrom))
