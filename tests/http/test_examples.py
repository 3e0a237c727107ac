"""examples.json next to a model has example inputs. The server checks them against the model, and
serves the files that they name and no others.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import pytest

from model_sources import model_source
from servers import BINARY, ROOT, real_python

MODEL = model_source("http/examples")


@pytest.fixture
def model(tmp_path):
    (tmp_path / "predict.py").write_text(MODEL)
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a picture.png").write_bytes(b"\x89PNG")
    (tmp_path / "page.html").write_text("<script>alert(1)</script>")
    (tmp_path / "other.txt").write_text("no example names it")
    return tmp_path


def write(directory, examples) -> None:
    text = examples if isinstance(examples, str) else json.dumps(examples)
    (directory / "examples.json").write_text(text)


def test_examples_and_their_files_are_served(start, model):
    examples = [
        {"name": "A picture", "input": {"prompt": "p", "image": "pictures/a picture.png"}},
        {"input": {"images": ["page.html", "https://files.test/a.png"], "either": "just words", "prompt": "12345678901234567890"}},
    ]  # fmt: skip
    write(model, examples)
    server = start(model_dir=model)
    assert server.get("/docs/examples.json").json == [
        examples[0],
        {"name": "Example 2", **examples[1]},
    ]
    picture = server.get("/docs/examples/pictures/a%20picture.png")
    assert (picture.status, picture.headers["content-type"], picture.body) == (
        200,
        "image/png",
        b"\x89PNG",
    )
    page = server.get("/docs/examples/page.html")
    assert page.headers["content-security-policy"] == "sandbox"
    assert page.headers["x-content-type-options"] == "nosniff"
    assert "examples.json" not in server.log()


@pytest.mark.parametrize("example", ["fractal", "ocr"])
def test_our_own_examples_name_existing_files(example):
    for shown in json.loads((ROOT / "examples" / example / "examples.json").read_text()):
        assert set(shown) == {"name", "input"}
        assert (ROOT / "examples" / example / shown["input"].get("image", "")).exists()


def test_the_examples_of_an_example_fit(start, tmp_path):
    shutil.copytree(ROOT / "examples" / "fractal", tmp_path / "fractal")
    server = start(model_dir=tmp_path / "fractal")
    written = json.loads((tmp_path / "fractal" / "examples.json").read_text())
    assert server.get("/docs/examples.json").json == written


def test_no_other_file_is_served(start, model, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "secret.txt"
    outside.write_text("secret")
    (model / "link.txt").symlink_to(outside)
    os.mkfifo(model / "pipe")
    up = f"../{outside.parent.name}/secret.txt"
    paths = [up, str(outside), "link.txt", "pipe", "pictures", "missing.png", "."]
    write(model, [{"name": path, "input": {"image": path}} for path in paths])
    server = start(model_dir=model)
    assert server.get("/docs/examples.json").json == []
    for path in [
        *paths,
        "other.txt",
        "predict.py",
        "examples.json",
        "",
        "%2e%2e/x",
        "pictures%2F..%2Fother.txt",
    ]:
        answer = server.get(f"/docs/examples/{path.replace(' ', '%20')}")
        assert (path, answer.status) == (path, 404)


def test_a_file_can_be_replaced_while_the_server_runs(start, model):
    write(model, [{"input": {"image": "other.txt"}}])
    server = start(model_dir=model)
    (model / "other.txt").write_text("new")
    assert server.get("/docs/examples/other.txt").body == b"new"
    (model / "other.txt").unlink()
    (model / "other.txt").symlink_to("/etc/hostname")
    assert server.get("/docs/examples/other.txt").status == 404
    (model / "examples.json").unlink()
    assert server.get("/docs/examples.json").json == []


BAD = [
    ("[", "line 1: unexpected end of JSON input"),
    ('[\n  {"input": {}},\n]', "line 3: invalid character"),
    ('{"prompt": "x"}', 'it must be a list of {"name": "…", "input": {…}}'),
    ([{"name": "N", "inputs": {}}], "N: it has no input"),
    ([{"name": "N", "input": [1]}], "N: its input must be an object"),
    ([{"name": "N", "input": None}], "N: its input must be an object"),
    ([None], "Example 1: it has no input"),
    ([{"name": "N", "input": {"images": [""] * 100}}], "N: images.0: must be"),
    ([{"name": "N", "input": {"images": ["page.html"] * 100}}], "N: its input has more problems than are listed here"),
    ([{"name": "N", "input": {"prompt": ""}}], "N: prompt: must have at least 1 character"),
    ([{"name": "N", "input": {"prompt": "a", "image": "pictures/none.png"}}], "N: image: pictures/none.png: no such file or directory"),
    ([{"name": "N", "input": {"images": ["page.html", "none"]}}], "N: images.1: none: no such file or directory"),
    ([{"name": "N", "input": {"holder": {"file": "page.html"}}}], "N: holder.file: must be an http://, https:// or data: URL; got"),
    ([{"name": "N", "input": {"promt": "x"}}], "N: the model has no input promt"),
    (" " * (1 << 20) + "[]", "examples.json has more than 1 MiB"),
]  # fmt: skip


def test_unsuitable_members_are_left_out_with_a_warning(start, model):
    good = {"name": "good", "input": {"image": "page.html"}}
    write(
        model,
        [bad for examples, _ in BAD if isinstance(examples, list) for bad in examples] + [good],
    )
    server = start(model_dir=model)
    assert server.get("/docs/examples.json").json == [good]
    for examples, warning in BAD:
        if isinstance(examples, list) and examples != [None]:
            assert warning in server.log().replace("\\", "")
    write(model, [{"name": "again", "input": {"prompt": ""}}])
    assert server.get("/docs/examples.json").json == []


@pytest.mark.parametrize(("examples", "warning"), BAD)
def test_check_names_each_problem_of_the_examples(model, examples, warning):
    write(model, examples)
    command = [
        BINARY,
        "check",
        "--strict",
        "--predict",
        "predict.py:Predictor",
        "--python",
        real_python(),
        model,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert f"examples.json: {warning}" in done.stdout
    assert done.returncode == 1


def test_examples_need_the_token(start, model):
    write(model, [{"input": {"image": "page.html"}}])
    server = start(model_dir=model, env={"COGGO_AUTH_TOKEN": "let me in"})
    for path in ("/docs/examples.json", "/docs/examples/page.html"):
        assert server.get(path).status == 401
        assert server.get(path, Authorization="Bearer let me in").status == 200
