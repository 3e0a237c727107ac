"""Imports the package in one Python and prints the loaded modules as JSON. Read from standard
input: modules and names.
"""

from __future__ import annotations

import json
import sys

QUESTION = json.load(sys.stdin)
BEFORE = set(sys.modules)

import cog  # noqa: E402

ALONE = sorted(set(sys.modules) - BEFORE)


def outside(names: set[str]) -> list[str]:
    """Modules that are neither part of this package nor of the standard library."""
    own = {"cog", "__main__", "__mp_main__"}
    found = []
    for name in names:
        file = getattr(sys.modules[name], "__file__", None) or ""
        if name.partition(".")[0] not in own and (
            "site-packages" in file or "dist-packages" in file
        ):
            found.append(name)
    return sorted(found)


def main() -> None:
    missing = [name for name in QUESTION["names"] if not hasattr(cog, name)]
    for module, names in QUESTION["modules"].items():
        loaded = __import__(module, fromlist=names or ["x"])
        missing += [f"{module}.{name}" for name in names if not hasattr(loaded, name)]
    starred: dict[str, object] = {}
    exec("from cog import *", starred)
    missing += [f"* {name}" for name in QUESTION["names"] if name not in starred]
    json.dump(
        {"alone": ALONE, "missing": missing, "outside": outside(set(sys.modules) - BEFORE)},
        sys.stdout,
    )


if __name__ == "__main__":
    main()
