"""Makes imports search the directories of the model first, as for a script, so that they find its
own ``test.py``. Until then the imports of the runner find none of its files, because the server
starts Python so that it does not search the current directory (``runner.Program`` in Go).

The runner imports some standard modules late, because a cold start is billed. If a file of the
model may have the name of one of them, or of a module that they import in turn, the runner imports
them before the model.
"""

from __future__ import annotations

import sys

from cog.internal.pristine import builtins as __builtins__  # noqa: F401
from cog.internal.pristine import os

#: The modules that the runner imports once the model runs, and those that they import late.
LATE = (
    "ast",
    "asyncio",
    "atexit",
    "base64",
    "concurrent.futures.thread",
    "contextlib",
    "copy",
    "ctypes",
    "dataclasses",
    "difflib",
    "encodings.idna",
    "enum",
    "fcntl",
    "hashlib",
    "http.client",
    "importlib.metadata",
    "inspect",
    "json",
    "linecache",
    "mimetypes",
    "mmap",
    "operator",
    "pathlib",
    "select",
    "shlex",
    "shutil",
    "tempfile",
    "textwrap",
    "threading",
    "tokenize",
    "traceback",
    "unicodedata",
    "urllib.error",
    "urllib.parse",
    "urllib.request",
    "zlib",
)


def search_first(*directories: str) -> None:
    """Make imports search directories first, in this order."""
    if any(_shadows(directory) for directory in directories):
        _import_late()
    for directory in reversed(directories):
        if directory in sys.path:
            sys.path.remove(directory)
        sys.path.insert(0, directory)


def namesake(name: str) -> str | None:
    """Return the file of the model that has the name of a standard module, or of ``cog``."""
    if name != "cog" and name not in _standard():
        return None
    library = os.path.dirname(os.__file__)
    ours = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(__file__))))
    for directory in sys.path[: sys.path.index(library)] if library in sys.path else ():
        for path in (f"{directory}/{name}.py", f"{directory}/{name}/__init__.py"):
            if directory != ours and os.path.isfile(path):
                return path
    return None


def _shadows(directory: str) -> bool:
    """Whether a file in a directory has the name of a standard module that is not yet imported."""
    try:
        names = _modules(directory)
    except OSError:  # the directory can be searched, but not listed
        return True
    return not names.isdisjoint(_standard().difference(sys.modules))


def _standard() -> frozenset[str]:
    """Return the names of the standard modules."""
    if sys.version_info >= (3, 10):
        return sys.stdlib_module_names
    library = os.path.dirname(os.__file__)
    return frozenset(_modules(library) | _modules(os.path.join(library, "lib-dynload")))


def _modules(directory: str) -> set[str]:
    """Return the names of the modules that may be in a directory."""
    names = (name for name in os.listdir(directory) if not name.startswith("__"))
    return {
        name.partition(".")[0]
        for name in names
        if "." not in name or name.endswith((".py", ".pyc", ".so"))
    }


def _import_late() -> None:
    for name in LATE:
        try:
            __import__(name)
        except ImportError:  # this Python was built without it
            pass
