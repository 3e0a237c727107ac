"""What `import cog` brings, and what it does not."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest

from interpreters import ROOT, ask_all, every, start

pytestmark = pytest.mark.timeout(300)

NAMES = [
    "AsyncConcatenateIterator",
    "BaseModel",
    "BasePredictor",
    "BaseRunner",
    "CancelationException",
    "Coder",
    "ConcatenateIterator",
    "ExperimentalFeatureWarning",
    "FieldInfo",
    "File",
    "Input",
    "Opaque",
    "Path",
    "Secret",
    "URLFile",
    "URLPath",
    "__version__",
    "concurrent",
    "current_scope",
    "emit_metric",
    "streaming",
]

#: Where models of every age find things.
MODULES = {
    "cog.types": "Path File Secret Input URLPath URLFile Weights ConcatenateIterator ExperimentalFeatureWarning get_filename",
    "cog.input": "Input FieldInfo",
    "cog.model": "BaseModel",
    "cog.predictor": "BasePredictor load_predictor_from_ref has_setup_weights extract_setup_weights",
    "cog.base_predictor": "BasePredictor",
    "cog.coder": "Coder",
    "cog.coder.dataclass_coder": "DataclassCoder",
    "cog.coder.json_coder": "JsonCoder",
    "cog.coder.set_coder": "SetCoder",
    "cog.coder.pydantic_coder": "BaseModelCoder",
    "cog.server.scope": "current_scope Scope",
    "cog.server.exceptions": "CancelationException",
    "cog.exceptions": "CancelationException",
    "cog.errors": "CogError ConfigDoesNotExist PredictorNotSet",
    "cog.files": "upload_file guess_filename",
    "cog.json": "make_encodeable",
    "cog.mode": "Mode",
    "cog.suppress_output": "suppress_output",
    "cog.command.openapi_schema": "main",
    "cog.server.http": "main",
}


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    question = {"names": NAMES, "modules": {module: names.split() for module, names in MODULES.items()}}
    return ask_all(pathlib.Path(__file__).with_name("imports.py"), question)


def test_every_public_name_is_there(found: dict[str, Any]) -> None:
    for version, answer in found.items():
        assert answer["missing"] == [], version


def test_import_cog_loads_nothing_else(found: dict[str, Any]) -> None:
    for version, answer in found.items():
        assert answer["alone"] == ["cog"], version


def test_the_package_needs_the_standard_library_only(found: dict[str, Any]) -> None:
    for version, answer in found.items():
        assert answer["outside"] == [], version


def test_the_modules_are_there_with_the_package_alone() -> None:
    names = [name for name in MODULES if name.count(".") == 1 and name != "cog.batch"]
    code = "import cog\n" + "".join(f"assert {name}.__name__ == {name!r}\n" for name in names)
    running = {version: start(python, "-c", code) for version, python in every().items()}
    for version, process in running.items():
        _, errors = process.communicate(timeout=280)
        assert (process.returncode, errors) == (0, ""), version


def test_the_errors_of_cog_yaml_are_errors_of_cog() -> None:
    from cog.errors import CogError, ConfigDoesNotExist, PredictorNotSet

    assert issubclass(ConfigDoesNotExist, CogError) and issubclass(PredictorNotSet, CogError)


def test_one_exception_has_three_homes() -> None:
    import cog
    import cog.exceptions
    import cog.server.exceptions

    assert cog.CancelationException is cog.exceptions.CancelationException is cog.server.exceptions.CancelationException
    assert not issubclass(cog.CancelationException, Exception)


def test_every_file_is_imported_without_a_warning() -> None:
    files = sorted((ROOT / "python" / "cog").rglob("*.py"))
    modules = [".".join(file.relative_to(ROOT / "python").with_suffix("").parts) for file in files]
    code = "import importlib\n" + "".join(f"importlib.import_module({m.replace('.__init__', '')!r})\n" for m in modules)
    running = {version: start(python, "-c", code) for version, python in every().items()}
    for version, process in running.items():
        _, errors = process.communicate(timeout=280)
        assert (process.returncode, errors) == (0, ""), version
