"""`setup(weights)` gets $COG_WEIGHTS by its annotation, else ./weights, else None."""

from __future__ import annotations

import pathlib
import re
from typing import Any

import pytest

from http_store import Store
from interpreters import ask_all, every

pytestmark = pytest.mark.timeout(300)

URL = "data:text/plain,remote"

#: The parameter, $COG_WEIGHTS, whether ./weights exists; the type and the contents that setup gets.
ROWS = [
    ("weights: str", URL, True, "str", None),
    ("weights: Path", URL, True, "URLPath", "remote"),
    ("weights: Optional[Path] = None", URL, True, "URLPath", "remote"),
    ("weights: 'Optional[Path]'", URL, False, "URLPath", "remote"),
    ("weights: pathlib.Path", URL, False, "URLPath", "remote"),
    ("weights: File", URL, True, "URLFile", "remote"),
    ("weights: Optional[File] = None", URL, False, "URLFile", "remote"),
    ("weights", URL, False, "str", None),
    ("weights: Union[str, Path] = None", URL, False, "str", None),
    ("weights: Path", None, True, "Path", "local"),
    ("weights: Optional[Path] = None", None, True, "Path", "local"),
    ("weights=None", None, True, "Path", "local"),
    ("weights: Path", None, False, "NoneType", None),
    ("weights", None, False, "NoneType", None),
]


LAZY = pathlib.Path(__file__).with_name("lazy.py")

#: Uses of weights that do not need the file.
OF_URL = [
    "str",
    "format",
    "repr",
    "source",
    "filename",
    "name",
    "stem",
    "suffix",
    "equal",
    "hash",
    "kind",
    "pickle",
]


@pytest.fixture(scope="module")
def uses() -> list[str]:
    return re.findall(r"^    def (\w+)", LAZY.read_text(encoding="utf-8"), re.MULTILINE)


def test_weights_of_a_url_are_fetched_once_when_they_are_first_read(
    store: Store, uses: list[str]
) -> None:
    """By each way to read a file, on each Python, and not by those that need only the URL."""
    for version in every():
        for use in uses:
            store.add(f"/{version}/{use}/my%20weights.tar", b"remote")
    found = ask_all(LAZY, store.url)
    for version, answers in found.items():
        assert set(answers) == set(uses)
        for use, (value, wanted) in answers.items():
            asked = [got for got in store.got if got.path.startswith(f"/{version}/{use}/")]
            assert (value, len(asked)) == (wanted, use not in OF_URL), f"{version}: {use}"


@pytest.fixture(scope="module")
def answers() -> dict[str, Any]:
    return ask_all(pathlib.Path(__file__).with_name("setups.py"), [row[:3] for row in ROWS])


@pytest.mark.parametrize("row", range(len(ROWS)), ids=[f"{r[0]}, {r[1]}, {r[2]}" for r in ROWS])
def test_setup_gets_weights_by_its_annotation(answers: dict[str, Any], row: int) -> None:
    for version, found in answers.items():
        assert found[row][:2] == list(ROWS[row][3:]), f"{version}: {found[row]}"


def test_the_functions_of_cog_report_the_weights_of_setup(answers: dict[str, Any]) -> None:
    for found in answers.values():
        assert all(row[3:] == [True, row[0]] for row in found)


def test_a_setup_without_weights_gets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    from cog.predictor import BasePredictor, extract_setup_weights, has_setup_weights

    class Without(BasePredictor):
        def setup(self) -> None: ...

    class Nothing: ...

    monkeypatch.setenv("COG_WEIGHTS", URL)
    assert not has_setup_weights(Without()) and extract_setup_weights(Without()) is None
    assert not has_setup_weights(Nothing()) and extract_setup_weights(Nothing()) is None  # type: ignore[arg-type]
