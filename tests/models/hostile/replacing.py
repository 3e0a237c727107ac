"""Replaces functions of modules, and restores them for the next prediction."""

import os
import shutil
import sys
import tempfile
import types
from typing import Any, List, Tuple


def _broken(*_: Any, **__: Any) -> Any:
    raise RuntimeError("replaced by the model")


_originals: List[Tuple[Any, str, Any]] = []
_environment = dict(os.environ)
_streams = sys.stdout, sys.stderr
_setattr = setattr


def put(module: Any, name: str, value: Any) -> None:
    _originals.append((module, name, getattr(module, name)))
    setattr(module, name, value)


def break_names(module: types.ModuleType, *names: str) -> None:
    for name in names:
        _originals.append((module, name, vars(module)[name]))
    for name in names:
        _setattr(module, name, _broken)


def restore() -> None:
    """Restore everything that was replaced, so that the next action finds what it needs."""
    while _originals:
        _setattr(*_originals.pop())
    sys.setrecursionlimit(1000)
    sys.settrace(None)
    sys.setprofile(None)
    os.umask(0o077)
    os.environ.update(_environment)
    empty_temporary_directory()


def break_all(module: types.ModuleType) -> None:
    """Replace every function of a module."""
    break_names(
        module,
        *(
            n
            for n, v in vars(module).items()
            if callable(v) and not isinstance(v, type) and n[:2] != "__"
        ),
    )


def empty_temporary_directory() -> None:
    directory = tempfile.gettempdir()
    assert os.environ["TMPDIR"] == directory and len(directory) > 10
    for name in os.listdir(directory):
        path = os.path.join(directory, name)
        if os.path.isdir(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)
