"""coggo-server predict, check and schema: a model at the command line, without a server."""

from __future__ import annotations

import json
import os
import pathlib
import re
import signal
import subprocess

import pytest

from http_harness import processes
from model_sources import model_source
from servers import BINARY, real_python
from waiting import until

MODEL = model_source("http/cli")

STREAM = """
import time
from cog import BasePredictor, ConcatenateIterator

class Predictor(BasePredictor):
    def predict(self, n: int = 3, wait: float = 0) -> ConcatenateIterator[str]:
        for i in range(n):
            yield f"{i} "
            time.sleep(wait)
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A model next to a directory of the user, which is the current one."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "predict.py").write_text(MODEL)
    (tmp_path / "here").mkdir()
    (tmp_path / "tmp").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    yield tmp_path
    assert list((tmp_path / "tmp").iterdir()) == [], "temporary files were left"
    until("every process is gone", lambda: not processes(f"TMPDIR={tmp_path / 'tmp'}"), 5)


def command(place, *words):
    return [
        str(BINARY),
        words[0],
        str(place / "model"),
        "--predict",
        "predict.py:Predictor",
        "--python",
        real_python(),
        *words[1:],
    ]


def environment(place):
    return {**os.environ, "TMPDIR": str(place / "tmp")}


def run(place, *words, code=0):
    done = subprocess.run(
        command(place, *words), capture_output=True, timeout=50, env=environment(place), text=True
    )
    assert done.returncode == code, done.stderr + done.stdout
    return done


def predict(place, *inputs, flags=(), code=0):
    words = [word for i in inputs for word in ("-i", i)]
    return run(place, "predict", *words, *flags, code=code)


def test_only_the_output_goes_to_standard_output(place):
    done = predict(place, "prompt=hi there")
    assert done.stdout == "hi there\n"
    assert done.stderr == "model is set up\npredicting\n"


def test_inputs_are_converted_to_the_types_of_the_model(place):
    pathlib.Path("long.txt").write_text("from a file")
    done = predict(
        place, "prompt=@long.txt", "numbers=4", "numbers=5", "steps=7", "loud=yes", "how=object"
    )
    assert json.loads(done.stdout) == {
        "prompt": "from a file",
        "numbers": [4, 5],
        "steps": 7,
        "loud": True,
    }
    done = predict(place, "prompt=@@home = 1, 2", "numbers=[6, 7]", "how=object")
    assert json.loads(done.stdout) == {
        "prompt": "@home = 1, 2",
        "numbers": [6, 7],
        "steps": 3,
        "loud": False,
    }


LISTS = model_source("http/cli_lists")
LIST_NAMES = re.findall(r"^        (\w+):", LISTS, re.MULTILINE)


def test_an_empty_list_can_be_given_to_every_list(place):
    (place / "model" / "predict.py").write_text(LISTS)
    assert json.loads(predict(place, *[f"{name}=[]" for name in LIST_NAMES]).stdout) == {
        name: [] for name in LIST_NAMES
    }
    given = json.loads(
        predict(place, "texts=[ ]", "texts=b", "numbers=[]", "numbers=[2,3]", "bare=[]").stdout
    )
    assert (given["texts"], given["numbers"], given["bare"]) == (["b"], [2, 3], [])
    assert json.loads(predict(place, "optional=null", "no_default=null").stdout)["optional"] is None


def test_items_of_a_list_of_choices_keep_their_type(place):
    (place / "model" / "predict.py").write_text(LISTS)
    given = json.loads(predict(place, "chosen=1", "literal=1", "literal=x").stdout)
    assert (given["chosen"], given["literal"]) == (["1"], ["1", "x"])


def test_a_file_goes_in_and_one_comes_out(place):
    pathlib.Path("in.png").write_bytes(b"\x89PNG\x00\xff")
    done = predict(place, "prompt=", "image=@in.png", "how=file", flags=["-o", "out.png"])
    assert pathlib.Path("out.png").read_bytes() == b"\x89PNG\x00\xff"
    assert "wrote out.png" in done.stderr and done.stdout == ""
    assert predict(place, "prompt=", "image=@in.png").stdout == " in.png\n"


def test_files_keep_their_names_and_overwrite_nothing_that_was_not_named(place):
    pathlib.Path("result.txt").write_text("mine")
    done = predict(place, "prompt=one", "how=file")
    assert done.stdout == "result-1.txt\n"
    assert sorted(p.name for p in pathlib.Path().iterdir()) == ["result-1.txt", "result.txt"]
    assert pathlib.Path("result.txt").read_text() == "mine"
    done = predict(place, "prompt=two", "how=two files", flags=["-o", "fresh/"])
    assert json.loads(done.stdout) == ["fresh/result.txt", "fresh/result-1.txt"]
    predict(place, "prompt=three", "how=two files", flags=["-o", "result.txt"])
    assert pathlib.Path("result.txt").read_text() == "three"


def test_a_link_keeps_its_name(place):
    source = MODEL.replace(
        'return made if how == "file"',
        'link = Path("link.glb"); link.symlink_to(made); return link if how == "file"',
    )
    (place / "model" / "predict.py").write_text(source)
    assert predict(place, "prompt=one", "how=file").stdout == "link.glb\n"
    assert (
        pathlib.Path("link.glb").read_text() == "one" and not pathlib.Path("link.glb").is_symlink()
    )


def test_text_can_go_to_a_file(place):
    done = predict(place, "prompt=hi", flags=["-o", "said.txt"])
    assert (done.stdout, pathlib.Path("said.txt").read_text()) == ("", "hi\n")


def test_json_is_the_whole_prediction(place):
    pathlib.Path("in.txt").write_text("x")
    body = json.loads(
        predict(place, "prompt=p", "key=hush", "image=@in.txt", "how=file", flags=["--json"]).stdout
    )
    assert body["status"] == "succeeded" and body["output"] == "data:text/plain;base64,eA=="
    assert body["input"] == {"prompt": "p", "key": "**********", "image": "@in.txt", "how": "file"}
    assert body["logs"] == "predicting\n" and body["metrics"]["predict_time"] > 0
    failed = json.loads(predict(place, "prompt=p", "how=fail", flags=["--json"], code=1).stdout)
    assert (failed["status"], failed["error"]) == ("failed", "no such luck")


def test_a_failure_is_exit_code_1_with_the_traceback(place):
    done = predict(place, "prompt=hi", "how=fail", code=1)
    assert done.stdout == "" and 'raise ValueError("no such luck")' in done.stderr
    assert done.stderr.endswith("coggo-server: the prediction failed: no such luck\n")


WRONG = [
    ([], "-i prompt: Field required"),
    (["prompt=a", "steps=10", "loud=maybe"], "-i steps: must be at most 9; got 10"),
    (
        ["prompt=a", "stepz=1"],
        "-i stepz: the model has no such input; its inputs are:\n  prompt   string, required",
    ),
    (["prompt=a", "prompt=b"], "-i prompt: given more than once, but it is not a list"),
    (["prompt"], "-i prompt: write NAME=VALUE"),
    (["prompt=@missing"], "-i prompt: open missing: no such file or directory"),
    (["prompt=a", "image=/etc/passwd"], "-i image: "),
]


@pytest.mark.parametrize(
    ("inputs", "text"), WRONG, ids=lambda v: " ".join(v) if isinstance(v, list) else ""
)
def test_wrong_inputs_are_exit_code_2(place, inputs, text):
    done = predict(place, *inputs, code=2)
    assert text in done.stderr and done.stdout == ""
    assert "predicting" not in done.stderr


def test_every_wrong_input_is_named_at_once(place):
    stderr = predict(place, "steps=10", "loud=maybe", code=2).stderr
    for name in ("prompt", "steps", "loud"):
        assert f"-i {name}: " in stderr


def test_ctrl_c_cancels(place):
    process = subprocess.Popen(
        command(place, "predict", "-i", "prompt=a", "-i", "how=hang"),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(place), text=True,
    )  # fmt: skip
    shown = ""
    while "hanging\n" not in shown:
        shown += process.stderr.readline()
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=30)
    assert (process.returncode, stdout) == (130, "")
    assert "coggo-server: canceling; press Ctrl-C again to kill the model\n" in stderr
    assert "coggo-server: canceled\n" in stderr


def test_a_second_ctrl_c_waits_for_nothing(place):
    (place / "model" / "predict.py").write_text(
        "import time\nfrom cog import CancelationException\nclass Predictor:\n    def predict(self) -> str:\n"
        "        while True:\n            try:\n                print('busy', flush=True)\n                time.sleep(600)\n"
        "            except CancelationException:\n                print('not now', flush=True)\n"
    )
    words = command(place, "predict", "--cancel-grace", "10m")
    process = subprocess.Popen(words, stderr=subprocess.PIPE, env=environment(place), text=True)
    assert process.stderr.readline() == "busy\n"
    process.send_signal(signal.SIGINT)
    while process.stderr.readline() != "not now\n":
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130 and "coggo-server: killed\n" in stderr


def test_a_model_with_keywords_takes_any_name(place):
    (place / "model" / "predict.py").write_text(
        "from typing import Any\nclass Predictor:\n    def predict(self, **given: Any) -> Any:\n        return given\n"
    )
    given = predict(place, "size=2", "name=x y", "flags=[true]").stdout
    assert json.loads(given) == {"size": 2, "name": "x y", "flags": [True]}
    assert "inputs of any name" in run(place, "check").stdout
    (place / "model" / "predict.py").write_text(
        "class Predictor:\n    def predict(self) -> int:\n        return 1\n"
    )
    assert "-i size: the model has no such input" in predict(place, "size=2", code=2).stderr


def test_ctrl_c_during_setup_ends_it(place):
    (place / "model" / "predict.py").write_text(
        "import time\nclass Predictor:\n    def setup(self):\n        print('in setup', flush=True)\n        time.sleep(60)\n"
        "    def predict(self) -> str:\n        return ''\n"
    )
    process = subprocess.Popen(
        command(place, "predict"), stderr=subprocess.PIPE, env=environment(place), text=True
    )
    assert process.stderr.readline() == "in setup\n"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130


def test_items_are_shown_as_they_come(place):
    (place / "model" / "predict.py").write_text(STREAM)
    process = subprocess.Popen(
        command(place, "predict", "-i", "n=2", "-i", "wait=30"),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(place),
    )  # fmt: skip
    assert os.read(process.stdout.fileno(), 100) == b"0 "
    process.send_signal(signal.SIGINT)
    stdout, _ = process.communicate(timeout=30)
    assert (process.returncode, stdout) == (130, b"\n")
    assert predict(place, "n=3").stdout == "0 1 2 \n"
    predict(place, "n=2", flags=["-o", "all.txt"])
    assert pathlib.Path("all.txt").read_text() == "0 1 \n"


def test_many_items_are_all_shown(place):
    (place / "model" / "predict.py").write_text(STREAM)
    assert predict(place, "n=30000").stdout == "".join(f"{i} " for i in range(30000)) + "\n"


def test_a_failed_setup_is_exit_code_1(place):
    (place / "model" / "predict.py").write_text(
        "class Predictor:\n    def setup(self):\n        raise OSError('no weights')\n    def predict(self) -> str:\n        return ''\n"
    )
    done = predict(place, code=1)
    assert (
        "raise OSError('no weights')" in done.stderr and "setup failed: no weights" in done.stderr
    )


def test_check_describes_the_model(place):
    shown = run(place, "check").stdout
    for text in ("import    ", "prompt   string, required  (What to say)", "steps    integer = 3, 1 to 9", "numbers  list of integer = [1]",
                 'how      one of "text", "file"', "setup     ", "python    3.", "runs      1 at a time", "result    all is well"):  # fmt: skip
        assert text in shown


def test_check_names_every_problem_with_its_remedy(place):
    (place / "model" / "predict.py").write_text(
        "from cog import BasePredictor, Input\nclass Predictor(BasePredictor):\n"
        "    def predict(self, a: int = Input(ge=9, le=5), b: complex = 3, c: str = Input(default='x', choices=['y'])) -> str:\n"
        "        return ''\n"
    )
    shown = run(place, "check", code=1).stdout
    for text in (
        "problems  signature\n          predict.py:3: a: ge=9 is greater than le=5: no value fits\n",
        "          predict.py:3: b: the type complex is not supported: use one of",
        "warnings  predict.py:3: c: default='x' does not fit: must be one of: y",
    ):
        assert text in shown


ODD = """from cog import Input
class Predictor:
    def predict(self, a: int = Input(default=9, le=5), b: bool = Input(default=True, ge=0)) -> str:
        return repr((a, b))
"""


def test_check_prints_warnings_and_fails_on_them_only_with_strict(place):
    (place / "model" / "predict.py").write_text(ODD)
    for flags, code, result in (
        ([], 0, "result    it works, with warnings\n"),
        (["--strict"], 1, "result    there are warnings, and --strict is given\n"),
    ):
        shown = run(place, "check", *flags, code=code).stdout
        assert (
            "warnings  predict.py:3: a: default=9 does not fit: must be at most 5. The model gets it as it is"
            in shown
        )
        assert (
            "\n          predict.py:3: b: ge=0 applies to numbers, but this is a boolean: it has no effect, leave it out\n"
            in shown
        )
        assert shown.endswith(result)
    assert predict(place).stdout == "(9, True)\n"


def test_check_shows_warnings_next_to_a_setup_that_fails(place):
    (place / "model" / "predict.py").write_text(
        ODD + "    def setup(self):\n        raise OSError('no weights')\n"
    )
    shown = run(place, "check", code=1).stdout
    assert "warnings  predict.py:3: a: default=9" in shown and "no weights" in shown


def test_strict_check_accepts_a_model_without_warnings(place):
    assert run(place, "check", "--strict").stdout.endswith("result    all is well\n")


def test_schema_warns_on_standard_error(place):
    (place / "model" / "predict.py").write_text(ODD)
    done = run(place, "schema")
    assert (
        json.loads(done.stdout)["openapi"]
        and "warning: predict.py:3: a: default=9 does not fit" in done.stderr
    )


def test_an_input_that_takes_a_string_or_a_file_gets_the_first_declared(place):
    (place / "model" / "predict.py").write_text(
        "from typing import Literal, Union\nfrom cog import Path\nclass Predictor:\n"
        "    def predict(self, text: Union[str, Path] = '', file: Union[Path, str] = '', size: Literal['auto', 5] = 'auto') -> str:\n"
        "        return repr((text, file.read_text() if isinstance(file, Path) else file, size))\n"
    )
    pathlib.Path("in.txt").write_text("words")
    assert predict(place, "text=5", "file=6", "size=5").stdout == "('5', '6', 5)\n"
    assert predict(place, "text=@in.txt", "file=@in.txt").stdout == "('words', 'words', 'auto')\n"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (
            "    def healthcheck(self):\n        return False\n",
            "user-defined healthcheck returned False",
        ),
        (
            "    def setup(self):\n        import nothing_like_it\n",
            "No module named 'nothing_like_it'",
        ),
        ("    def setup(self):\n        import os\n        os._exit(3)\n", "exit status 3"),
    ],
)
def test_check_reports_problems_of_setup(place, body, text):
    (place / "model" / "predict.py").write_text(
        f"class Predictor:\n{body}    def predict(self) -> str:\n        return ''\n"
    )
    assert text in run(place, "check", code=1).stdout


def test_schema_prints_the_document(place):
    document = json.loads(run(place, "schema").stdout)
    assert (
        document["components"]["schemas"]["Input"]["properties"]["prompt"]["description"]
        == "What to say"
    )


def test_a_directory_without_a_model_is_an_error_with_a_remedy(place):
    done = subprocess.run([BINARY, "check", "."], capture_output=True, text=True, timeout=20)
    assert done.returncode == 2 and 'write `predict: "predict.py:Predictor"`' in done.stderr


@pytest.mark.parametrize(
    ("python", "text"),
    [
        (
            "/no/such/python",
            "/no/such/python is not a working Python interpreter (no such file or directory)",
        ),
        ("#!/bin/sh\necho 3 8 18\n", "this is Python 3.8, it must be 3.9 or newer"),
        ("#!/bin/sh\nexit 3\n", "is not a working Python interpreter"),
    ],
    ids=["missing", "too old", "not one"],
)
def test_check_says_what_is_wrong_with_the_interpreter(place, python, text):
    if python.startswith("#!"):
        stand_in = place / "python"
        stand_in.write_text(python)
        stand_in.chmod(0o755)
        python = str(stand_in)
    done = subprocess.run(
        [BINARY, "check", place / "model", "--predict", "predict.py:Predictor", "--python", python],
        capture_output=True, text=True, timeout=30, env=environment(place),
    )  # fmt: skip
    assert (
        done.returncode == 1 and text in done.stdout and "name another with --python" in done.stdout
    )


def test_a_runner_of_an_older_python_says_so(place):
    old = place / "old"
    old.write_text(
        f"#!{real_python()}\n"
        "import runpy, sys\n"
        "sys.version_info = (3, 8, 18, 'final', 0)\n"
        "runpy.run_module('cog.internal.file_runner', run_name='__main__')\n"
    )
    old.chmod(0o755)
    done = run(place, "predict", "-i", "prompt=x", "--python", str(old), code=1)
    assert (
        "this is Python 3.8, it must be 3.9 or newer: name another with --python\n" in done.stderr
    )
