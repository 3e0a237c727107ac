"""Models that need parts of Cog that do not exist here: the error names the remedy."""

from __future__ import annotations

import subprocess

import pytest

from cog.internal.contract.remedies import BROUGHT
from servers import BINARY, real_python

#: Hides everything except the standard library, whatever this interpreter has.
ALONE = "import sys\nsys.path[:] = [p for p in sys.path if not p.endswith('-packages')]\n"
WAYS = {
    "import": "import {name}\n",
    "from": "from {name} import x\n",
    "a part": "import {name}.part\n",
    "with a cause": "try:\n    import {name}\nexcept ImportError as error:\n    raise RuntimeError('no luck') from error\n",
    "in an except": "try:\n    import {name}\nexcept ImportError:\n    raise RuntimeError('no luck')\n",
}
PREDICTOR = "class Predictor:\n    def predict(self) -> str:\n        return ''\n"


def schema(place, source):
    """The error of the schema command for a model that can't be loaded."""
    (place / "predict.py").write_text(source)
    words = [
        BINARY,
        "schema",
        "--python",
        real_python(),
        "--predict",
        "predict.py:Predictor",
        place,
    ]
    shown = subprocess.run(words, capture_output=True, text=True, timeout=30)
    assert (shown.returncode, shown.stdout) == (1, ""), shown.stderr
    return shown.stderr


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["requests", "yaml", "attr"])
def test_a_package_that_came_with_cog_is_named_with_the_remedy(tmp_path, name, way):
    said = schema(tmp_path, ALONE + WAYS[way].format(name=name) + PREDICTOR)
    assert "predict.py" in said and "Traceback" in said
    assert said.splitlines()[-1].endswith(f"{BROUGHT[name]} came with Cog. Coggo does not install packages: "
                                          f"install it with those of the model, pip install {BROUGHT[name]}")  # fmt: skip


@pytest.mark.parametrize("name", BROUGHT)
def test_every_package_that_came_with_cog_is_known(tmp_path, name):
    # Some of them are installed next to the standard library here.
    absent = f"import sys\nsys.modules[{name!r}] = None\n"
    said = schema(tmp_path, absent + f"import {name}\n" + PREDICTOR)
    assert said.endswith(f"pip install {BROUGHT[name]}\n")


def test_a_relative_import_is_an_error_with_the_remedy(tmp_path):
    said = schema(tmp_path, "from .helper import something\n" + PREDICTOR)
    assert 'predict.py", line 1' in said
    assert said.endswith(
        "the file of the model is not part of a package: write from helper import … for from .helper import …\n"
    )


OTHERS = {
    "another package": "import nothing_like_it\n",
    "a part of a package that is there": "import json.nothing_like_it\n",
    "an error that is caught": ALONE
    + "try:\n    import yaml\nexcept ImportError:\n    yaml = None\nraise RuntimeError('later')\n",
    "a cause that is hidden": ALONE
    + "try:\n    import yaml\nexcept ImportError:\n    raise RuntimeError('hidden') from None\n",
    "a name that is missing": "from json import nothing_like_it\n",
    "an error without a module": "raise ModuleNotFoundError('requests')\n",
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_errors_do_not_get_that_remedy(tmp_path, name):
    assert "came with Cog" not in schema(tmp_path, OTHERS[name] + PREDICTOR)


SETUP = ALONE + (
    "class Predictor:\n    def setup(self):\n        import requests\n    def predict(self) -> str:\n        return ''\n"
)
IMPORT = ALONE + "import requests\n" + PREDICTOR
REMEDY = "requests came with Cog. Coggo does not install packages: install it with those of the model, pip install requests\n"


@pytest.mark.parametrize("source", [IMPORT, SETUP], ids=["import", "setup"])
def test_the_logs_of_setup_have_the_remedy(start, source):
    server = start(source, ready=False)
    server.wait_status("SETUP_FAILED")
    assert server.health()["setup"]["logs"].endswith(REMEDY)


PREDICT = ALONE + (
    "class Predictor:\n    {word} predict(self, n: int = 1) -> str:\n        import requests\n        return ''\n"
)


@pytest.mark.parametrize("word", ["def", "async def"])
def test_the_logs_of_a_prediction_have_the_remedy(start, word):
    body = start(PREDICT.format(word=word)).predict({}).json
    assert body["status"] == "failed" and body["logs"].endswith(REMEDY)
    assert "came with Cog" not in body["error"]


OF_2021 = {
    "Predictor": "import cog\nclass Predictor(cog.Predictor):\n    def predict(self, x):\n        return x\n",
    "both": (
        "import cog\nclass Predictor(cog.Predictor):\n    @cog.input('x', type=str, help='it')\n"
        "    def predict(self, x):\n        return x\n"
    ),
    "Model": "from cog import Model\nclass Predictor(Model):\n    def predict(self, x):\n        return x\n",
    "from cog import": "from cog import Predictor as P\nclass Predictor(P):\n    def predict(self, x):\n        return x\n",
    "input": (
        "import cog\nclass Predictor(cog.BasePredictor):\n    @cog.input('x', type=str)\n"
        "    def predict(self, x):\n        return x\n"
    ),
    "input after Input": (
        "import cog\nfrom cog import Input\nclass Predictor(cog.BasePredictor):\n    @cog.input('x', type=str)\n"
        "    def predict(self, x):\n        return x\n"
    ),
    "from cog import input": (
        "from cog import BasePredictor, input\nclass Predictor(BasePredictor):\n    @input('x', type=str)\n"
        "    def predict(self, x):\n        return x\n"
    ),
}


@pytest.mark.parametrize("name", OF_2021)
def test_a_model_of_2021_gets_an_error_with_the_line_to_change(start, name):
    server = start(OF_2021[name], ready=False)
    server.wait_status("SETUP_FAILED")
    logs = server.health()["setup"]["logs"]
    for word in (
        "predict.py",
        "line ",
        "was replaced in Cog 0.1",
        "cog.BasePredictor",
        "NAME: T = cog.Input(",
        "choices=",
    ):
        assert word in logs, logs
