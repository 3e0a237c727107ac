"""The wheel is built once for all tests of packaging."""

from __future__ import annotations

import pathlib

import pytest
from packages import make_wheel


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return make_wheel(tmp_path_factory.mktemp("dist"))
