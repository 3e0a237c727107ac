"""The banner on a terminal after setup: who can use the server, and a command that works as
printed.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess

import pytest

from http_terminal import Terminal
from model_sources import model_source
from servers import BINARY, ROOT, real_python

HEAD = model_source("http/banner")


def banner(tmp_path, signature, *flags, **env):
    """The banner of a model with these inputs, and the answer to its curl command."""
    (tmp_path / "predict.py").write_text(HEAD.replace("SIGNATURE", signature))
    (tmp_path / "cog.yaml").write_text("predict: predict.py:Predictor\n")
    words = [
        BINARY,
        "--host",
        "127.0.0.1",
        "--port",
        "0",
        "--python",
        real_python(),
        *flags,
        tmp_path,
    ]
    terminal = Terminal(words, **{"COGGO_AUTH_TOKEN": "", **env})
    try:
        terminal.wait("curl .*\r\n(.*change.*)?\r\n")
        [curl] = re.findall(r"curl .*", terminal.shown)
        done = subprocess.run(
            ["sh", "-c", curl],
            capture_output=True,
            timeout=20,
            check=True,
            env={"PATH": "/usr/bin:/bin", **env},
        )
        return terminal.shown, json.loads(done.stdout)
    finally:
        terminal.close()


SIGNATURES = {
    "nothing": ("", {}),
    "text": ("prompt: str", {"prompt": "hello"}),
    "lengths": ("a: str = Input(min_length=8), b: str = Input(max_length=2)", {"a": "hello hello", "b": "he"}),
    "numbers": ("n: int, x: float, least: int = Input(ge=3, le=9), most: float = Input(le=-2)", {"n": "1", "least": "3", "most": "-2.0"}),
    "flag": ("loud: bool", {"loud": "True"}),
    "choices": ("how: str = Input(choices=[\"it's\", 'say \"hi\"']), size: Literal[512, 1024] = Input()", {"how": "it's", "size": "512"}),
    "file": ("notes: Path, image: Path, voice: File", {"notes": b"hello".hex()}),
    "lists": ("files: List[Path], texts: List[str], grid: List[List[float]], one_of: List[Literal['a', 'b']]", {"files": [b"hello".hex()], "texts": ["hello"], "grid": [["1.0"]], "one_of": ["a"]}),
    "secret": ("key: Secret", {"key": "**********"}),
    "unions": ("a: Union[int, str], b: Union[Path, str], c: Optional[int]", {"a": "1", "b": b"hello".hex()}),
    "objects": ("a: Any, b: dict, c: Dict[str, int]", {"b": "{}", "c": "{}"}),
    "default": ("n: int = 3, text: str = 'as it is', how: str = Input(default='y', choices=['x', 'y'])", {"n": "3", "text": "as it is", "how": "y"}),
    "quotes": (r'''text: str = "it's \"quoted\" \\ $HOME `id` $(id) ! \n\t<&> é"''', {"text": 'it\'s "quoted" \\ $HOME `id` $(id) ! \n\t<&> é'}),
    "unfit": ("n: int = Input(default=9, le=5), texts: List[str] = Input(default=['a'], choices=['b'])", {"n": "9"}),
}  # fmt: skip


@pytest.mark.parametrize("kind", SIGNATURES)
def test_the_curl_of_the_banner_works_unchanged(tmp_path, kind):
    signature, expected = SIGNATURES[kind]
    shown, answer = banner(tmp_path, signature)
    assert answer.get("status") == "succeeded", (answer, shown)
    assert {name: answer["output"][name] for name in expected} == expected, shown
    assert "change" not in shown


def test_the_banner_shows_short_defaults_and_omits_long_ones(tmp_path):
    _, answer = banner(
        tmp_path,
        f"a: str, b: int = 3, c: str = {'x' * 61!r}, d: Path = 'https://example.com/a', e: Secret = 'x', f: str = None",
    )
    assert answer["input"] == {"a": "hello", "b": 3}
    _, answer = banner(tmp_path, ", ".join(f"n{i}: str = {'x' * 50!r}" for i in range(9)))
    assert list(answer["input"]) == ["n0", "n1", "n2"]


def test_a_value_that_only_the_author_knows_is_named(tmp_path):
    shown, answer = banner(tmp_path, "code: str = Input(regex='^[A-Z]{2}$'), n: int = 1")
    assert 'first change code: must match the pattern ^[A-Z]{2}$; got "hello"' in shown
    assert answer["detail"][0]["loc"] == ["body", "input", "code"]


def test_a_value_that_must_be_very_long_is_not_generated(tmp_path):
    shown, _ = banner(
        tmp_path, "a: str = Input(min_length=10**7), b: List[List[int]] = Input(min_length=10**7)"
    )
    assert "first change a: must have at least 10000000 characters" in shown
    assert len(shown) < 2000


def test_the_required_members_of_an_object_are_given(tmp_path):
    signature = "point: Point, points: List[Point]) -> Any:\n        return [point.x, len(points)]\n    def other(self"
    source = HEAD.replace(
        "class Pred",
        "from dataclasses import dataclass\n@dataclass\nclass Point:\n    x: int\n    name: str\n    y: int = 2\n\nclass Pred",
        1,
    )
    (tmp_path / "predict.py").write_text(source.replace("SIGNATURE", signature))
    (tmp_path / "cog.yaml").write_text("predict: predict.py:Predictor\n")
    terminal = Terminal(
        [BINARY, "--host", "127.0.0.1", "--port", "0", "--python", real_python(), tmp_path],
        COGGO_AUTH_TOKEN="",
    )
    terminal.wait("curl .*\r\n\r\n")
    done = subprocess.run(
        ["sh", "-c", re.search("curl .*", terminal.shown).group()], capture_output=True, timeout=20
    )
    terminal.close()
    assert json.loads(done.stdout)["output"] == [1, 1], done.stdout


OPEN = [
    ([], {}, "this machine only"),
    (["--host", "127.0.0.2"], {}, "this machine only"),
    ([], {"COGGO_AUTH_TOKEN": "s3 cret's"}, "this machine only, with the token"),
    (["--host", "0.0.0.0"], {}, r"everyone who can reach this host on port \d+, without a token"),
    (["--host", "0.0.0.0"], {"COGGO_AUTH_TOKEN": "hush"}, r"everyone who can reach this host on port \d+, with the token"),
]  # fmt: skip


@pytest.mark.parametrize(("flags", "env", "audience"), OPEN)
def test_the_banner_says_who_can_use_the_server_and_where_the_page_is(
    tmp_path, flags, env, audience
):
    shown, answer = banner(tmp_path, "n: int", *flags, **env)
    assert re.search(rf"  open to {audience}\r\n", shown), shown
    at = re.search(r"  page to try it: (\S+)/docs\r\n", shown).group(1)
    assert f" {at}/predictions " in shown and f" at {at}\r\n" in shown
    assert answer["output"] == {"n": "1"} and "hush" not in shown and "cret" not in shown


def test_the_curl_reads_the_token_from_its_file(tmp_path):
    (tmp_path / "it's a token").write_text("hush\n")
    shown, answer = banner(tmp_path, "n: int", "--auth-token-file", tmp_path / "it's a token")
    assert answer["output"] == {"n": "1"} and "hush" not in shown


def test_make_run_listens_on_this_machine_and_shows_the_inputs_of_its_model(tmp_path):
    (tmp_path / "my model").mkdir()
    (tmp_path / "my model" / "predict.py").write_text(HEAD.replace("SIGNATURE", "colour: str"))
    (tmp_path / "my model" / "cog.yaml").write_text("predict: predict.py:Predictor\n")
    planned = subprocess.run(
        ["make", "-n", "run"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert "curl" not in planned.stdout and "--host 127.0.0.1 --port 5000" in planned.stdout
    terminal = Terminal(
        ["make", "run", f"MODEL={tmp_path / 'my model'}", "PORT=0"], cwd=ROOT, COGGO_AUTH_TOKEN=""
    )
    terminal.wait("curl .*\r\n\r\n", 60)
    assert "open to this machine only" in terminal.shown and terminal.shown.count("curl") == 1
    curl = re.search("curl .*", terminal.shown).group()
    done = subprocess.run(["sh", "-c", curl], capture_output=True, timeout=20, check=True)
    assert json.loads(done.stdout)["output"] == {"colour": "hello"}
    # The signal kills make too, unless the server ends first.
    terminal.close(-signal.SIGINT, 0, 2, 130)
