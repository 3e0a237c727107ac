"""The wheel is built and installed once for all tests of packaging."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterator

import pytest
from box import Layers
from packages import Environment, make_wheel

#: The interpreter of the machine: every user must be able to run it, even without /root.
PYTHON = next(p for p in ("/usr/bin/python3", "/usr/local/bin/python3") if os.path.exists(p))


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return make_wheel(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="session")
def environment(wheel, tmp_path_factory) -> str:
    """The environment with the installed wheel."""
    made = Environment(tmp_path_factory.mktemp("start") / "coggo", PYTHON)
    made.pip("install", "--no-index", wheel)
    made.directory.chmod(0o755)
    return str(made.directory)


@pytest.fixture
def layers() -> Iterator[Layers]:
    made = Layers()
    yield made
    made.close()
