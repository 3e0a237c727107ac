"""Uses weights that have a URL, each in another way, and prints the actual and the expected results
as JSON.
"""

from __future__ import annotations

import copy
import json
import os
import pathlib
import pickle
import shutil
import sys
import tempfile
from typing import Any

import cog
from cog.internal.contract.loader import weights_of


def setup(weights: cog.Path) -> None: ...


class Uses:
    """Each method gets its own weights, and returns the actual and the expected value."""

    def str(self, weights: Any, url: str) -> Any:
        return str(weights), url

    def format(self, weights: Any, url: str) -> Any:
        return f"{weights}", url

    def repr(self, weights: Any, url: str) -> Any:
        return repr(weights), f"URLPath({url!r})"

    def source(self, weights: Any, url: str) -> Any:
        return weights.source, url

    def filename(self, weights: Any, url: str) -> Any:
        return weights.filename, "my weights.tar"

    def name(self, weights: Any, url: str) -> Any:
        return weights.name, "my weights.tar"

    def stem(self, weights: Any, url: str) -> Any:
        return weights.stem, "my weights"

    def suffix(self, weights: Any, url: str) -> Any:
        return [weights.suffix, weights.suffixes], [".tar", [".tar"]]

    def equal(self, weights: Any, url: str) -> Any:
        return [weights == copy.copy(weights), weights == pathlib.Path("x")], [True, False]

    def hash(self, weights: Any, url: str) -> Any:
        return len({weights, copy.copy(weights)}), 1

    def kind(self, weights: Any, url: str) -> Any:
        return [isinstance(weights, kind) for kind in (cog.Path, pathlib.Path, os.PathLike)], [
            True
        ] * 3

    def pickle(self, weights: Any, url: str) -> Any:
        return str(pickle.loads(pickle.dumps(weights))), url

    def open(self, weights: Any, url: str) -> Any:
        with open(weights) as one, weights.open() as two:
            return one.read() + two.read(), "remoteremote"

    def fspath(self, weights: Any, url: str) -> Any:
        return os.path.basename(os.fspath(weights)), "my weights.tar"

    def read_bytes(self, weights: Any, url: str) -> Any:
        return [weights.read_bytes() == b"remote", weights.read_text()], [True, "remote"]

    def exists(self, weights: Any, url: str) -> Any:
        return [weights.exists(), os.path.isfile(weights), weights.is_dir()], [True, True, False]

    def stat(self, weights: Any, url: str) -> Any:
        return [weights.stat().st_size, os.path.getsize(weights)], [6, 6]

    def path(self, weights: Any, url: str) -> Any:
        return [cog.Path(weights).read_text(), pathlib.Path(weights).read_text()], [
            "remote",
            "remote",
        ]

    def lexical(self, weights: Any, url: str) -> Any:
        there = [
            weights.parent / weights.name,
            weights.resolve(),
            weights.absolute(),
            weights / "..",
            "x" / weights,
        ]
        return [p.exists() for p in there[:3]] + [p.is_absolute() for p in there[3:]], [True] * 5

    def private(self, weights: Any, url: str) -> Any:
        directory = weights.parent
        return [os.stat(directory).st_mode & 0o077, os.stat(directory.parent).st_mode & 0o077], [
            0,
            0,
        ]

    def rename(self, weights: Any, url: str) -> Any:
        there = os.path.join(tempfile.mkdtemp(), "x")
        os.rename(weights, there)
        with open(there) as moved:
            return moved.read(), "remote"

    def copy(self, weights: Any, url: str) -> Any:
        there = os.path.join(tempfile.mkdtemp(), "x")
        shutil.copy(weights, there)
        shutil.copyfile(weights, there)
        with open(there) as copied:
            return copied.read(), "remote"


def main() -> None:
    url = json.load(sys.stdin)
    version = f"3.{sys.version_info[1]}"
    answers = {}
    with tempfile.TemporaryDirectory() as directory:
        tempfile.tempdir = directory
        for use in [name for name in vars(Uses) if not name.startswith("_")]:
            os.environ["COG_WEIGHTS"] = source = f"{url}/{version}/{use}/my%20weights.tar"
            answers[use] = getattr(Uses(), use)(weights_of(setup)["weights"], source)
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
