"""coggo-server check describes a model, or gives the reasons why it cannot be served."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import venv

import pytest

from http_harness import Server
from interpreters import every, interpreter
from model_sources import model_source
from servers import BINARY, real_python

HEAD = "import cog\nfrom typing import Any, AsyncIterator, Iterator, List, Optional\n"
FINE = "class Predictor:\n    def predict(self, s: str = 'x') -> str:\n        return s\n"


def check(place, source, *flags, code=0, python=None, **env):
    """The output of check for a model; standard error must have only the output of the model."""
    (place / "predict.py").write_text(source)
    refs = [] if (place / "cog.yaml").exists() else ["--predict", "predict.py:Predictor"]
    words = [BINARY, "check", "--python", python or real_python(), *refs, *flags, place]
    done = subprocess.run(
        words, capture_output=True, text=True, timeout=50, env={**os.environ, **env}
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert done.stderr == "", done.stderr
    return done.stdout


@pytest.fixture(params=["oldest", "newest"])
def python(request):
    found = [every()[version] for version in ("3.9", "3.13") if version in every()] or [
        sys.executable
    ]
    return found[0] if request.param == "oldest" else found[-1]


FAILED = "\nresult    the model can't be served as it is\n"
STAGES = {
    "import": (
        HEAD + "raise RuntimeError('no weights here')\n" + FINE,
        "RuntimeError: no weights here",
    ),
    "import by name": (
        HEAD + "class Model: ...\n",
        "does not define 'Predictor': it defines Model",
    ),
    "import that ends": (HEAD + "import os\nos._exit(3)\n", "exit status 3"),
    "syntax": ("class Predictor:\n    def predict(self -> str:\n", "SyntaxError"),
    "signature": (FINE.replace("s: str", "s: complex"), "the type complex is not supported"),
    "setup": (
        FINE + "    def setup(self):\n        raise OSError('no weights')\n",
        "OSError: no weights",
    ),
    "setup that ends": (
        FINE + "    def setup(self):\n        import os; os._exit(3)\n",
        "exit status 3",
    ),
    "healthcheck": (
        FINE + "    def healthcheck(self):\n        return False\n",
        "healthcheck returned False",
    ),
}


@pytest.mark.parametrize("stage", STAGES)
def test_each_problem_is_shown_once_below_what_failed(tmp_path, stage):
    source, text = STAGES[stage]
    shown = check(tmp_path, source, code=1)
    assert f"problems  {stage.split()[0]}\n          " in shown
    assert shown.count(text) == 1
    assert shown.endswith(FAILED)


def test_a_cog_yaml_that_is_not_yaml_is_a_problem_of_the_report(tmp_path):
    (tmp_path / "cog.yaml").write_text("predict: [")
    shown = check(tmp_path, FINE, code=1)
    assert shown.startswith(f"problems  cog.yaml\n          read {tmp_path}/cog.yaml: [1:10] ")
    assert shown.endswith(FAILED)


def test_a_missing_file_is_named_with_the_existing_ones(tmp_path):
    (tmp_path / "cog.yaml").write_text('predict: "predictor.py:Predictor"')
    (tmp_path / "train.py").touch()
    shown = check(tmp_path, FINE, code=1)
    assert (
        f"predictor.py: no such file in {tmp_path}, whose Python files are: predict.py, train.py\n"
        in shown
    )


def predict(tmp_path, source):
    """Run ``coggo-server predict`` on a model that fails to start; return its standard error."""
    (tmp_path / "predict.py").write_text(source)
    words = [
        BINARY,
        "predict",
        "--python",
        real_python(),
        "--predict",
        "predict.py:Predictor",
        tmp_path,
    ]
    done = subprocess.run(words, capture_output=True, text=True, timeout=50)
    assert done.returncode == 1
    return done.stderr


REFUSED = "coggo-server: the model can't be served as it is written\n"


def test_predict_shows_each_problem_of_a_signature_once_too(tmp_path):
    source, text = STAGES["signature"]
    shown = predict(tmp_path, source)
    assert shown.count(text) == 1 and shown.endswith(REFUSED)


def test_predict_shows_problems_once_that_are_longer_than_an_error_may_be(tmp_path):
    names = [f"parameter_{n}_" + "x" * 200 for n in range(100)]
    source = f"class Predictor:\n    def predict(self, {', '.join(names)}) -> str: ...\n"
    shown = predict(tmp_path, source)
    assert [shown.count(f": {name}: ") for name in names] == [1] * len(names)
    assert shown.endswith(REFUSED)


def test_predict_says_what_the_model_raised(tmp_path):
    shown = predict(tmp_path, STAGES["setup"][0])
    assert shown.endswith("coggo-server: setup failed: no weights\n")


def test_a_warning_is_shown_once(tmp_path):
    shown = check(tmp_path, FINE.replace("'x'", "cog.Input(default='x', ge=1)").join([HEAD, ""]))
    assert shown.count("ge=1 applies to numbers, but this is a string") == 1


WRONG = [
    ("from cog import BasePredicter\n" + FINE, "BasePredictor"),
    ("import cog\nclass Predictor(cog.BasePredictr): ...\n", "BasePredictor"),
    (HEAD + FINE.replace("'x'", "cog.Inptu(default='x')"), "Input"),
    (HEAD + FINE.replace("'x'", "cog.Input(defualt='x')"), "default"),
    ("from cog.typse import Path\n" + FINE, "cog.types"),
]


@pytest.mark.parametrize(("source", "name"), WRONG)
def test_a_misspelt_name_of_cog_suggests_the_right_one(tmp_path, python, source, name):
    shown = check(tmp_path, source, code=1, python=python)
    assert len(re.findall(rf"Did you mean:? '{re.escape(name)}'\?", shown)) == 1, shown


def test_an_argument_of_another_library_suggests_ours(tmp_path):
    shown = check(tmp_path, HEAD + FINE.replace("'x'", "cog.Input(default='x', max=3)"), code=1)
    assert shown.endswith("          Input has le for max" + FAILED)


def test_a_name_of_another_module_is_not_guessed(tmp_path):
    shown = check(tmp_path, "import json\njson.Inptu\n" + FINE, code=1)
    assert "'Input'" not in shown


SELF = {
    "predict": (
        "class Predictor:\n    def predict(prompt: str, n: int = 1) -> str:\n        return prompt\n",
        "self, prompt: …",
    ),
    "run": (
        "class Predictor:\n    async def run(prompt: str = cog.Input()) -> str:\n        return prompt\n",
        "self, prompt: …",
    ),
    "train": (FINE + "    def train(steps: int) -> str:\n        return ''\n", "self, steps: …"),
    "setup": (FINE + "    def setup(weights):\n        pass\n", "self, weights"),
    "healthcheck": (FINE + "    def healthcheck() -> bool:\n        return True\n", "self"),
}


@pytest.mark.parametrize("method", SELF)
def test_a_missing_self_is_found(tmp_path, method):
    source, words = SELF[method]
    text = f"{method} has no self: write def {method}({words})"
    shown = check(tmp_path, HEAD + source, code=0 if method == "train" else 1)
    assert shown.count(text) == 1, shown


@pytest.mark.parametrize(
    "first", ["this", "_", "me: Any", "self: 'Predictor'", "this: 'Predictor'", "predictor: object"]
)
def test_the_first_parameter_may_have_any_name(tmp_path, first):
    assert check(tmp_path, HEAD + FINE.replace("(self", f"({first}")).endswith("all is well\n")


YIELDS = [
    (
        "def predict(self) -> str:\n        yield ''\n",
        "predict yields, but its output type is a string: write -> Iterator[…]",
    ),
    ("def predict(self) -> cog.Path:\n        yield from []\n", "write -> Iterator[…]"),
    ("def predict(self) -> Optional[int]:\n        yield 1\n", "write -> Iterator[…]"),
    ("async def predict(self) -> str:\n        yield ''\n", "write -> AsyncIterator[…]"),
]


@pytest.mark.parametrize(("method", "text"), YIELDS)
def test_a_yield_of_a_single_value_is_found(tmp_path, method, text):
    assert text in check(tmp_path, f"{HEAD}class Predictor:\n    {method}", code=1)
    with_function = f"{HEAD}{method.replace('self', '').replace('predict', 'Predictor')}"
    assert text in check(tmp_path, with_function.replace("\n        ", "\n    "), code=1)


WELL = {
    "a list": "class Predictor:\n    def predict(self) -> List[str]:\n        yield ''\n",
    "any value": "class Predictor:\n    async def predict(self) -> Any:\n        yield ''\n",
    "what a decorator joins": "import functools\ndef joined(f):\n    @functools.wraps(f)\n"
    "    def g(*args):\n        return ''.join(f(*args))\n    return g\n"
    "class Predictor:\n    @joined\n    def predict(self) -> str:\n        yield ''\n",
    "a base class that is not meant to be called": "class Predictor:\n    def predict(self) -> str:\n        '''Not here.'''\n",
    "an exception": "class Predictor:\n    def predict(self, s: str = '') -> str:\n        if s:\n            raise ValueError(s)\n"
    "        else:\n            raise NotImplementedError\n",
    "null": "class Predictor:\n    def predict(self) -> Optional[str]:\n        print()\n",
    "an early exit": "class Predictor:\n    def predict(self, s: str = '') -> str:\n        if not s:\n            return\n        return s\n",
    "a value from a decorator": "def greets(f):\n    def predict(self) -> str:\n        return 'hi'\n    return predict\n"
    "class Predictor:\n    @greets\n    def predict(self) -> str:\n        print()\n",
    "a lambda": "class Predictor:\n    predict = lambda self: print()\n    predict.__annotations__ = {'return': str}\n",
    "code without source": "exec('class Predictor:\\n    def predict(self) -> str:\\n        print()\\n')\n",
}


@pytest.mark.parametrize("kind", WELL)
def test_a_correct_model_has_no_warnings(tmp_path, kind):
    assert check(tmp_path, HEAD + WELL[kind]).endswith("result    all is well\n")


FORGOTTEN = [
    "class Predictor:\n    def predict(self) -> str:\n        print()\n",
    "class Predictor:\n    async def predict(self) -> cog.Path:\n        '''Draws.'''\n        cog.Path('x')\n        return\n",
    "class Predictor:\n    def predict(self) -> Iterator[str]:\n        for s in 'ab':\n            print(s)\n",
    "class Predictor:\n    @cog.batch(max_size=2)\n    def predict(self, s: List[str]) -> List[str]:\n"
    "        def each(s):\n            return s\n        list(map(each, s))\n",
    "def Predictor(s: str) -> str:\n    if not s:\n        raise ValueError\n    s.upper()\n",
    "import contextlib\n@contextlib.contextmanager\ndef timed():\n    yield\n"
    "class Predictor:\n    @timed()\n    def predict(self) -> str:\n        print()\n",
]


@pytest.mark.parametrize("source", FORGOTTEN)
def test_a_forgotten_return_is_a_warning(tmp_path, source):
    shown = check(tmp_path, HEAD + source)
    assert (
        shown.count(
            "never returns a value, so each output is null: return one, or write Optional[…]"
        )
        == 1
    ), shown


def test_a_forgotten_return_is_found_by_every_python(tmp_path, python):
    assert "never returns" in check(
        tmp_path, HEAD + FORGOTTEN[0], "--strict", code=1, python=python
    )


def test_a_method_without_a_return_is_served_and_succeeds_with_null(tmp_path):
    (tmp_path / "predict.py").write_text(HEAD + FORGOTTEN[0])
    server = Server(BINARY, tmp_path, real_python(), [])
    try:
        server.wait_listening()
        server.wait_status("READY")
        answer = server.ask("POST", "/predictions", {}).json
        assert (answer["status"], answer["output"]) == ("succeeded", None)
        assert "never returns" not in server.log()
    finally:
        server.close()


SHAPE = model_source("http/check_shape")


def test_check_shows_members_of_objects_and_the_training(tmp_path):
    shown = check(tmp_path, SHAPE, "--strict", code=1)
    assert (
        """
inputs    box  object, required
            x      number
            label  string
          n    integer = 1
output    object
            text     string
            boxes    list of object
              x      number
              label  string
            best     object, optional
              x      number
              label  string
            picture  file
            right    boolean
training  data   file, required
          steps  integer = 5
trained   list of file
"""
        in shown
    )
    assert "\nhealth    healthcheck says that it is well\n" in shown


def test_a_value_of_any_type_is_not_called_an_object(tmp_path):
    source = f"{HEAD}class Predictor:\n    def predict(self, a: Any, b: dict, c: List[Any] = []) -> str:\n        return ''\n"
    shown = check(tmp_path, source)
    assert (
        "a  any value, required\n          b  object, required\n          c  list of any value = []\n"
        in shown
    )


RUNS = {
    "iterator": ("def predict(self) -> Iterator[int]:\n        yield 1\n", "output    iterator of integer\nstreams   each item"),
    "pieces": ("async def predict(self) -> cog.AsyncConcatenateIterator[str]:\n        yield ''\n",
               "output    string, in pieces that belong together\nstreams   each item"),
    "batch": ("@cog.batch(max_size=8, max_wait_ms=2.5)\n    def predict(self, s: List[str]) -> List[str]:\n        return s\n",
              "runs      8 at a time\nbatch     up to 8 in one call, which waits up to 2.5 ms for them\n"),
    "concurrency": ("@cog.concurrent(max=32)\n    async def predict(self) -> str:\n        return ''\n", "runs      32 at a time\n"),
}  # fmt: skip


@pytest.mark.parametrize("kind", RUNS)
def test_check_shows_how_a_model_runs(tmp_path, kind):
    method, text = RUNS[kind]
    assert text in check(tmp_path, f"{HEAD}class Predictor:\n    {method}")


COG_YAML = """predict: predict.py:Predictor
build:
  python_packages:
    - coggo-test-absent==1.5  # a comment
    - Coggo_Test.Here[extra]>=1
    - "coggo-test-marked; python_version < '3.0'"
    - "coggo-test-wanted ; python_version >= '3.5' and sys_platform == 'linux'"
    - "coggo-test-unclear; extra == 'x' or python_version > '3'"
    - "coggo-test-at @ https://localhost/coggo.zip"
    - "https://localhost/coggo_test_wheel-1.0-py3-none-any.whl"
    - "https://localhost/undecided.zip"
    - "git+https://localhost/it.git#egg=coggo-test-egg"
    - "--extra-index-url https://me:hush@localhost/simple"
  python_requirements: needs/all.txt
"""


@pytest.fixture
def environment(tmp_path):
    """A separate interpreter with one package and nothing else."""
    venv.create(tmp_path / "venv", with_pip=False)
    [packages] = (tmp_path / "venv").glob("lib/python*/site-packages")
    info = packages / "Coggo_Test_Here-2.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: Coggo-Test-Here\nVersion: 2.0\n")
    return str(tmp_path / "venv" / "bin" / "python")


def model_with_packages(tmp_path):
    place = tmp_path / "model"
    (place / "needs").mkdir(parents=True)
    (place / "cog.yaml").write_text(COG_YAML)
    (place / "needs" / "all.txt").write_text(
        "# all\n--no-binary :none:\n-r more.txt\n\ncoggo.test.here\n"
    )
    (place / "needs" / "more.txt").write_text(
        "-r all.txt\ncoggo-test-filed ==1.0 \\\n   --hash=sha256:00\n"
    )
    return place


LACKING = (
    "These packages of cog.yaml are not installed there: coggo-test-absent, coggo-test-wanted, coggo-test-at, "
    "coggo-test-wheel, coggo-test-egg, coggo-test-filed. "
    "Install them, or name an interpreter that has them with --python:\n"
)


def test_a_missing_module_names_the_interpreter_and_what_it_lacks(tmp_path, environment):
    shown = check(
        model_with_packages(tmp_path), "import cv2_of_nobody\n" + FINE, code=1, python=environment
    )
    assert (
        f"{environment} (Python 3." in shown
        and ") does not have the module cv2_of_nobody. " in shown
    )
    said, command = (line.strip() for line in shown.splitlines()[-3:-1])
    assert LACKING.strip() in said
    assert command == (
        f"{environment} -m pip install --extra-index-url https://localhost/simple coggo-test-absent==1.5 "
        "coggo-test-wanted 'coggo-test-at @ https://localhost/coggo.zip' "
        "https://localhost/coggo_test_wheel-1.0-py3-none-any.whl 'git+https://localhost/it.git#egg=coggo-test-egg' "
        "-r needs/all.txt"
    )
    assert "hush" not in shown


def test_a_missing_module_reads_well_from_the_server_too(tmp_path, environment):
    place = model_with_packages(tmp_path)
    (place / "predict.py").write_text(FINE + "    def setup(self):\n        import cv2_of_nobody\n")
    server = Server(BINARY, place, environment, [])
    try:
        server.wait_listening()
        server.wait_status("SETUP_FAILED")
        logs = server.health()["setup"]["logs"]
        assert (
            "does not have the module cv2_of_nobody" in logs
            and LACKING in logs
            and LACKING in server.log()
        )
    finally:
        server.close()


def test_a_missing_module_reads_well_from_the_schema_command_too(tmp_path, environment):
    place = model_with_packages(tmp_path)
    (place / "predict.py").write_text("import cv2_of_nobody\n")
    done = subprocess.run(
        [BINARY, "schema", "--python", environment, place],
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert done.returncode == 1 and LACKING in done.stderr


def test_a_missing_module_without_a_list_of_packages_names_the_interpreter(tmp_path):
    shown = check(
        tmp_path, "import cv2_of_nobody\n" + FINE, code=1, python=interpreter(sys.version_info[1])
    )
    assert (
        "does not have the module cv2_of_nobody. Install the package that contains it there, or name an interpreter"
        in shown
    )
    assert "--python" in shown and "pip install" not in shown


def test_a_missing_submodule_is_not_reported_as_a_missing_package(tmp_path):
    assert "does not have the module" not in check(tmp_path, "import json.nothing\n" + FINE, code=1)
