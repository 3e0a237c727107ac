"""The remedy for a missing module: it names the interpreter, and the packages of cog.yaml that are
not installed in it.

Until a package is installed, nothing tells which modules it has (cv2 is in opencv-python). So this
module looks for packages that cog.yaml lists and the interpreter lacks.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

from cog.internal.pristine import builtins as __builtins__  # noqa: F401
from cog.internal.pristine import json, os, re

#: The variable in which the server passes on the packages in ``build`` of cog.yaml: {"packages":
#: […], "requirements": FILE}.
LISTED = "COGGO_PACKAGES"

_DEEPEST = 10  # because a file of requirements may include others, or itself

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_WHEEL = re.compile(r"/([A-Za-z0-9][A-Za-z0-9._]*)-\d[^/]*\.whl(?:[#?]|$)")
_MARKER = re.compile(r"(\w+)\s*(==|!=|<=|>=|<|>)\s*(['\"])([^'\"]*)\3")

#: Options of a line that apply to every package, such as an index.
_OPTIONS = (
    "-i",
    "-f",
    "--index-url",
    "--extra-index-url",
    "--find-links",
    "--pre",
    "--trusted-host",
    "--no-index",
)


class _Lacking(NamedTuple):
    names: list[str]  # the packages that are not installed
    words: list[str]  # the arguments with which pip installs them


def advice(module: str) -> str:
    """Return the remedy for a module that could not be imported. Each line ends with a line
    break.
    """
    lacking = _lacking()
    if not lacking.names and _is_there(module.partition(".")[0]):
        return ""
    version = ".".join(map(str, sys.version_info[:3]))
    text = f"{sys.executable} (Python {version}) does not have the module {module}. "
    other = "name an interpreter that has {} with --python"
    if not lacking.names:
        return text + f"Install the package that contains it there, or {other.format('it')}.\n"
    command = " ".join(
        shlex.quote(word) for word in (sys.executable, "-m", "pip", "install", *lacking.words)
    )
    return (
        text + f"These packages of cog.yaml are not installed there: {', '.join(lacking.names)}. "
        f"Install them, or {other.format('them')}:\n  {_without_passwords(command)}\n"
    )


def _is_there(module: str) -> bool:
    from importlib.util import find_spec

    try:
        return module in sys.modules or find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _without_passwords(command: str) -> str:
    """Remove the passwords in URLs of indexes from a command, because the logs show it."""
    return re.sub(r"(?<=://)[^/@\s'\"]+@", "", command)


def _lacking() -> _Lacking:
    try:
        listed: Any = json.loads(os.environ.get(LISTED, "{}"))
    except ValueError:  # the model has changed it
        listed = {}
    lacking = _Lacking([], [])
    lines = [line for item in listed.get("packages", ()) for line in str(item).splitlines()]
    missing = _missing(lines, lacking.names)
    if missing:
        options = [
            word for line in lines if line.startswith(_OPTIONS) for word in shlex.split(line)
        ]
        lacking.words.extend(options + missing)
    file = listed.get("requirements", "")
    if file and _missing(_lines_of(file, 0), lacking.names):
        lacking.words.extend(["-r", os.path.relpath(file)])
    return lacking


def _missing(lines: Any, names: list[str]) -> list[str]:
    """Return the requirements that are not fulfilled, and add their names to ``names``. A
    requirement that cannot be decided counts as fulfilled.
    """
    found = []
    for line in lines:
        requirement, marker = _split(_without_comment(line))
        name = _name_of(requirement)
        if name and name not in names and _holds(marker) and not _installed(name):
            names.append(name)
            found.append(requirement)
    return found


def _lines_of(file: str, depth: int) -> Iterator[str]:
    """Yield the lines of a file of requirements, and of those that it includes."""
    if depth == _DEEPEST:
        return
    try:
        with open(file, encoding="utf-8-sig") as opened:
            text = opened.read()
    except (OSError, ValueError):
        return
    for line in re.sub(r"\\\r?\n", " ", text).splitlines():
        line = _without_comment(line)
        included = re.match(r"(?:-r|--requirement)[\s=]*(\S+)", line)
        if included:
            yield from _lines_of(os.path.join(os.path.dirname(file), included[1]), depth + 1)
        else:
            yield line


def _without_comment(line: str) -> str:
    return re.sub(r"(^|\s)#.*", "", line).strip()


def _split(line: str) -> tuple[str, str]:
    """Return a requirement without its own options, and its marker."""
    line = re.split(r"\s--?\w", line)[0] if not line.startswith("-") else line
    requirement, _, marker = line.partition(" ;" if "://" in line else ";")
    return requirement.strip(), marker.strip()


def _name_of(requirement: str) -> str:
    """Return the name of the required package, or "" if the line is an option or does not name
    it.
    """
    egg = re.search(r"#(?:.*&)?egg=([\w.-]+)", requirement)
    if egg:
        return egg[1]
    name = _NAME.match(requirement)
    if name is None:
        return ""
    rest = requirement[name.end() :].lstrip()
    if not rest or rest[0] in "[=<>!~@(":
        return name[0]
    wheel = _WHEEL.search(requirement)
    return wheel[1].replace("_", "-") if wheel else ""


def _holds(marker: str) -> bool:
    """Whether a marker is true in this interpreter. Reads comparisons that are joined by "and"; any
    other marker counts as false.
    """
    return not marker or all(_compares(part.strip()) for part in re.split(r"\band\b", marker))


def _compares(text: str) -> bool:
    import operator

    system = os.uname()  # not the module platform, because a model may have a file of that name
    here = {
        "os_name": os.name,
        "platform_machine": system.machine,
        "platform_python_implementation": {"cpython": "CPython", "pypy": "PyPy"}.get(
            sys.implementation.name, ""
        ),
        "platform_system": system.sysname,
        "python_full_version": sys.version.partition(" ")[0],
        "python_version": "{}.{}".format(*sys.version_info[:2]),
        "sys_platform": sys.platform,
    }
    found = _MARKER.fullmatch(text)
    if found is None or found[1] not in here:
        return False
    left: Any = here[found[1]]
    right: Any = found[4]
    if found[1].endswith("version"):
        try:
            left, right = (
                [int(number) for number in version.split(".")] for version in (left, right)
            )
        except ValueError:
            return False
    signs = {
        "==": operator.eq,
        "!=": operator.ne,
        "<=": operator.le,
        ">=": operator.ge,
        "<": operator.lt,
        ">": operator.gt,
    }
    return bool(signs[found[2]](left, right))


def _installed(name: str) -> bool:
    from importlib import metadata

    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True
