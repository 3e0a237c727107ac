"""The effects of `import cog`."""

from __future__ import annotations

import ast
import pathlib
import sys
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

#: Import paths that models of any age use.
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
    question = {
        "names": NAMES,
        "modules": {module: names.split() for module, names in MODULES.items()},
    }
    return ask_all(pathlib.Path(__file__).with_name("imports.py"), question)


def test_every_public_name_can_be_imported(found: dict[str, Any]) -> None:
    for version, answer in found.items():
        assert answer["missing"] == [], version


def test_import_cog_loads_nothing_else(found: dict[str, Any]) -> None:
    for version, answer in found.items():
        assert answer["alone"] == ["cog"], version


def test_the_package_needs_the_standard_library_only(found: dict[str, Any]) -> None:
    for version, answer in found.items():
        assert answer["outside"] == [], version


def test_import_cog_makes_its_submodules_available() -> None:
    names = [name for name in MODULES if name.count(".") == 1 and name != "cog.batch"]
    code = "import cog\n" + "".join(f"assert {name}.__name__ == {name!r}\n" for name in names)
    running = {version: start(python, "-c", code) for version, python in every().items()}
    for version, process in running.items():
        _, errors = process.communicate(timeout=280)
        assert (process.returncode, errors) == (0, ""), version


def test_the_errors_of_cog_yaml_are_errors_of_cog() -> None:
    from cog.errors import CogError, ConfigDoesNotExist, PredictorNotSet

    assert issubclass(ConfigDoesNotExist, CogError) and issubclass(PredictorNotSet, CogError)


def test_one_exception_can_be_imported_from_three_modules() -> None:
    import cog
    import cog.exceptions
    import cog.server.exceptions

    assert (
        cog.CancelationException
        is cog.exceptions.CancelationException
        is cog.server.exceptions.CancelationException
    )
    assert not issubclass(cog.CancelationException, Exception)


def test_warnings_of_features_that_may_change_are_shown_and_can_be_filtered() -> None:
    import cog
    import cog.types

    assert issubclass(cog.ExperimentalFeatureWarning, FutureWarning)
    assert cog.types.ExperimentalFeatureWarning is cog.ExperimentalFeatureWarning


def test_input_returns_a_frozen_dataclass() -> None:
    import dataclasses

    import cog

    assert cog.FieldInfo().default is None
    assert cog.Input().default is not None, "without a default, an input is required"
    assert dataclasses.is_dataclass(cog.FieldInfo)
    assert cog.Input(default=1, ge=0) == cog.FieldInfo(1, ge=0) != cog.FieldInfo(2, ge=0)
    assert len({cog.Input(default=1), cog.Input(default=1)}) == 1
    assert dataclasses.asdict(cog.Input(default=1, description="d"))["description"] == "d"
    with pytest.raises(AttributeError):
        cog.Input(default=1).default = 2


def test_a_secret_may_be_unset_or_empty() -> None:
    import cog

    assert (cog.Secret().get_secret_value(), str(cog.Secret()), len(cog.Secret())) == (None, "", 0)
    assert cog.Secret() == cog.Secret(None) != cog.Secret("")
    assert str(cog.Secret("hush")) not in ("", "hush")


def test_run_and_predict_are_two_names_for_one_method() -> None:
    import cog

    class Runner(cog.BaseRunner):
        def run(self, n: int = 1) -> int:
            return n

    class Predictor(cog.BaseRunner):
        def predict(self, n: int = 1) -> int:
            return n + 10

    class Both(cog.BasePredictor):
        def run(self) -> str:
            return "run"

        def predict(self) -> str:
            return "predict"

    class Neither(cog.BaseRunner):
        pass

    class Child(Predictor):
        def run(self, n: int = 1) -> int:
            return super().run(n) + 100

    assert (Runner().predict(2), Runner().predict(n=3), Runner().run()) == (2, 3, 1)
    assert (Predictor().run(2), Predictor().predict()) == (12, 11)
    assert (Both().run(), Both().predict()) == ("run", "predict")
    assert Child().run() == 111
    for call in (Neither().run, Neither().predict):
        with pytest.raises(NotImplementedError, match="Neither"):
            call()


def test_every_file_is_imported_without_a_warning() -> None:
    files = sorted((ROOT / "python" / "cog").rglob("*.py"))
    modules = [".".join(file.relative_to(ROOT / "python").with_suffix("").parts) for file in files]
    code = "import importlib\n" + "".join(
        f"importlib.import_module({m.replace('.__init__', '')!r})\n" for m in modules
    )
    running = {version: start(python, "-c", code) for version, python in every().items()}
    for version, process in running.items():
        _, errors = process.communicate(timeout=280)
        assert (process.returncode, errors) == (0, ""), version


def test_modules_that_the_runner_needs_later_are_imported_before_the_model() -> None:
    from cog.internal.contract.search import LATE

    imported = set()
    for file in (ROOT / "python" / "cog").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {name.name for name in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(node.module or "")
    standard = {name for name in imported if name.partition(".")[0] in sys.stdlib_module_names}
    loaded = start(
        sys.executable,
        "-c",
        "import sys, cog.internal.file_runner, cog.internal.contract.loader; print(*sys.modules)",
    )
    at_once = set(loaded.communicate(timeout=60)[0].split())
    assert standard - at_once - set(LATE) == set()
