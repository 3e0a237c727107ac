"""Values that a model returns become JSON text and a file table."""

from __future__ import annotations

import json
import os
import pathlib
import stat
from typing import Any

import pytest

from runner.conftest import Start
from runner.harness import MODELS, Runner

#: An expression and the JSON text of its value.
VALUES = [
    ("None", "null"),
    ("True", "true"),
    ("False", "false"),
    ("0", "0"),
    ("-7", "-7"),
    ("2 ** 70", "1180591620717411303424"),
    ("-(2 ** 200)", str(-(2**200))),
    ("10 ** 5000", "1" + "0" * 5000),
    ("0.1", "0.1"),
    ("-0.0", "-0.0"),
    ("5.0", "5.0"),
    ("1e300", "1e+300"),
    ("5e-324", "5e-324"),
    ("''", '""'),
    ("'text'", '"text"'),
    ("'é 😀'", '"é 😀"'),
    (r"'\0\n\t\"\\ /'", r'"\u0000\n\t\"\\ /"'),
    (r"'\u2028\x7f'", '"\u2028\x7f"'),
    (r"'a\ud800b'", '"a\ufffdb"'),
    (r"{'a\udfff': 1}", '{"a\ufffd":1}'),
    (r"'\ud83d\ude00'", '"😀"'),
    ("'file:///etc/passwd'", '"file:///etc/passwd"'),
    ("'data:text/plain,x'", '"data:text/plain,x"'),
    ("[]", "[]"),
    ("{}", "{}"),
    ("()", "[]"),
    ("[1, 'a', None, [True]]", '[1,"a",null,[true]]'),
    ("(1, 2)", "[1,2]"),
    ("{'z': 1, 'a': 2, 'm': 3}", '{"z":1,"a":2,"m":3}'),
    ("{1: 'a', 2.5: 'b', True: 'c', None: 'd'}", '{"1":"c","2.5":"b","null":"d"}'),
    ("{Size.BIG: 1}", '{"big":1}'),
    ("{Level.HIGH: object.__name__}", '{"3":"object"}'),
    ("{Color.RED: {datetime.date(2026, 1, 2): 1}}", '{"red":{"2026-01-02":1}}'),
    ("{uuid.UUID(int=1): 1}", '{"00000000-0000-0000-0000-000000000001":1}'),
    ("{'': {'': 1}}", '{"":{"":1}}'),
    ("collections.OrderedDict(b=1, a=2)", '{"b":1,"a":2}'),
    ("collections.defaultdict(int, a=2)", '{"a":2}'),
    ("collections.Counter('aab')", '{"a":2,"b":1}'),
    ("collections.deque([1, 2])", "[1,2]"),
    ("Point(1, 2)", "[1,2]"),
    ("{3, 1, 2}", "[1,2,3]"),
    ("frozenset({'b', 'a'})", '["a","b"]'),
    ("set()", "[]"),
    ("range(3)", "[0,1,2]"),
    ("(n * n for n in range(3))", "[0,1,4]"),
    ("map(str, [1, 2])", '["1","2"]'),
    ("iter([1])", "[1]"),
    ("{'a': 1}.keys()", '["a"]'),
    ("{'a': 1}.values()", "[1]"),
    ("Color.RED", '"red"'),
    ("Color.PAIR", '[1,"a"]'),
    ("Size.BIG", '"big"'),
    ("Level.HIGH", "3"),
    ("[Color.RED, Size.BIG, Level.HIGH]", '["red","big",3]'),
    ("Text('me')", '"me"'),
    ("[Text('me'), object.__name__, Color.RED]", '["me","object","red"]'),
    ("Whole(3)", "3"),
    ("[Whole(3), Color.RED]", '[3,"red"]'),
    (
        "datetime.datetime(2026, 1, 2, 3, 4, 5, 6, datetime.timezone.utc)",
        '"2026-01-02T03:04:05.000006+00:00"',
    ),
    ("datetime.datetime(2026, 1, 2)", '"2026-01-02T00:00:00"'),
    ("datetime.date(2026, 1, 2)", '"2026-01-02"'),
    ("datetime.time(3, 4)", '"03:04:00"'),
    ("datetime.timedelta(minutes=1.5)", "90.0"),
    ("uuid.UUID(int=1)", '"00000000-0000-0000-0000-000000000001"'),
    ("decimal.Decimal('1.5')", "1.5"),
    ("decimal.Decimal('3')", "3"),
    ("decimal.Decimal(2 ** 70)", "1180591620717411303424"),
    ("Secret('hush')", '"**********"'),
    ("{'key': Secret('hush')}", '{"key":"**********"}'),
    ("Box('a')", '{"label":"a","where":null}'),
    (
        "Box('a', Box('b', (1, Secret('hush'))))",
        '{"label":"a","where":{"label":"b","where":[1,"**********"]}}',
    ),
    ("Result(score=1)", '{"score":1.0,"note":null}'),
    ("[Result(score='2', note=Box('n'))]", '[{"score":2.0,"note":{"label":"n","where":null}}]'),
    ("Pydantic()", '{"a":1}'),
    ("types.MappingProxyType({'a': 1})", '{"a":1}'),
    ("nested(100)", "[" * 100 + "0" + "]" * 100),
    ("[Color.RED] * 3", '["red","red","red"]'),
    ("[x := [1, Color.RED], x]", '[[1,"red"],[1,"red"]]'),
]


@pytest.fixture(params=["predict", "predict_async"])
def model(request: Any, shared: Start) -> Runner:
    return shared(f"evaluate.py:{request.param}")


def raw_output(r: Runner, code: str) -> tuple[str, list[dict[str, Any]], str]:
    """The exact JSON text of the output in the response, the file table and the id."""
    id = r.send(f"raw{r.next_number()}", {"code": code})
    r.wait_for(f"response-{id}.json")
    text = (r.path / f"response-{id}.json").read_text()
    response = r.response(id)
    assert response["status"] == "succeeded", response
    mark = ',"output":'
    assert text.count(mark) == 1
    return text[text.index(mark) + len(mark) : -1], response["files"], id


@pytest.mark.parametrize(("code", "text"), VALUES, ids=[row[0][:50] for row in VALUES])
def test_value_becomes_json(shared: Start, code: str, text: str) -> None:
    assert raw_output(shared("evaluate.py:predict"), code)[:2] == (text, [])


@pytest.mark.parametrize("size", [1 << 20, (1 << 20) + 1, 5_000_000])
def test_large_output_has_its_own_file(model: Runner, size: int) -> None:
    response = model.predict({"code": f"'x' * {size - 2}"})
    if size <= 1 << 20:
        assert (response["output_path"], len(response["output"])) == (None, size - 2)
    else:
        assert (response["output_path"], response["output"]) == (
            f"outputs/{response['id']}/output.json",
            None,
        )
        assert json.loads((model.path / response["output_path"]).read_bytes()) == "x" * (size - 2)


REFUSED = [
    ("float('nan')", "not JSON: NaN at output"),
    ("{'x': [float('-inf')]}", "not JSON: -Infinity at output.x[0]"),
    ("Box('a', float('nan'))", "not JSON: NaN at output.where"),
    ("decimal.Decimal('NaN')", "not JSON: NaN at output"),
    ("[decimal.Decimal('1e999999999')]", "not JSON: Infinity at output[0]"),
    ("object()", "output is a builtins.object, which has no form in JSON"),
    ("[1, Slots()]", "output[1] is a evaluate.Slots, which has no form in JSON"),
    ("b'bytes'", "output is a builtins.bytes"),
    ("bytearray(b'bytes')", "output is a builtins.bytearray"),
    ("1 + 2j", "output is a builtins.complex"),
    ("print", "output is a builtins.builtin_function_or_method"),
    ("Box", "output is a builtins.type"),
    ("io", "output is a builtins.module"),
    ("{(1, 2): 3}", "a key of output is a tuple"),
    ("{'a': {b'x': 3}}", "a key of output.a is a bytes"),
    ("{Color.PAIR: 3}", "a key of output is a Color"),
    ("{Secret('hush'): 3}", "a key of output is a Secret"),
    ("nested(300, Color.RED)", "nested too deeply"),
    ("(lambda x: x.append(x) or x)([])", "the output contains itself at output[0]"),
    (
        "Path('missing.png')",
        "output is the file missing.png, which cannot be read: No such file or directory",
    ),
    ("{'a': [Path('missing.png')]}", "output.a[0] is the file missing.png"),
    ("Path('.')", "output is ., which is not a regular file"),
    ("fifo()", "which is not a regular file"),
    ("Path('/dev/zero')", "output is /dev/zero, which is not a regular file"),
    ("Path('a\\0b')", "output is the file"),
    ("(lambda f: f.close() or f)(io.BytesIO())", "output is an open file that cannot be read"),
]


@pytest.mark.parametrize(("code", "error"), REFUSED, ids=[row[0][:50] for row in REFUSED])
def test_value_that_json_cannot_hold_fails_and_names_its_place(
    shared: Start, code: str, error: str
) -> None:
    response = shared("evaluate.py:predict").predict({"code": code})
    assert response["status"] == "failed"
    assert error in response["error"]
    assert response["traceback"] is None


@pytest.mark.parametrize(
    ("code", "pointers"),
    [
        ("Path('evaluate.py')", [""]),
        ("pathlib.Path('evaluate.py')", [""]),
        ("pathlib.PurePosixPath('evaluate.py')", [""]),
        ("Color.FILE", [""]),
        ("{'a': Path('evaluate.py'), 'b': [1, Path('evaluate.py')]}", ["/a", "/b/1"]),
        ("{'a/b': {'~': Path('evaluate.py')}}", ["/a~1b/~0"]),
        ("{'': Path('evaluate.py')}", ["/"]),
        ("Box('a', Path('evaluate.py'))", ["/where"]),
        ("Result(score=1, note=Path('evaluate.py'))", ["/note"]),
        ("Point(1, Path('evaluate.py'))", ["/1"]),
    ],
)
def test_file_of_the_model_is_named_by_its_pointer_and_kept(
    shared: Start, code: str, pointers: list[str]
) -> None:
    r = shared("evaluate.py:predict")
    text, files, _ = raw_output(r, code)
    assert [entry["pointer"] for entry in files] == pointers
    for entry in files:
        assert (entry["path"], entry["temporary"]) == (str(MODELS / "evaluate.py"), False)
    for pointer in pointers:
        place = json.loads(text)
        for step in pointer.split("/")[1:]:
            step = step.replace("~1", "/").replace("~0", "~")
            place = place[int(step)] if isinstance(place, list) else place[step]
        assert place is None


def test_file_made_by_the_run_in_the_temporary_directory_is_removed_by_the_server(
    model: Runner,
) -> None:
    (entry,) = model.predict({"code": "Path(write('out.png'))"})["files"]
    assert os.path.basename(entry["path"]) == "out.png"
    assert pathlib.Path(entry["path"]).read_text() == "contents"
    assert entry["temporary"] is True


def test_file_that_was_in_the_temporary_directory_before_is_kept(
    model: Runner, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "old.png").write_text("old")
    (entry,) = model.predict({"code": f"Path({str(tmp_path / 'old.png')!r})"})["files"]
    assert (entry["path"], entry["temporary"]) == (str(tmp_path / "old.png"), False)


def test_returned_link_to_an_old_file_does_not_remove_that_file(
    model: Runner, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "old.png").write_text("old")
    link = str(tmp_path / "link.png")
    code = f"os.path.lexists({link!r}) or os.symlink({str(tmp_path / 'old.png')!r}, {link!r}), Path({link!r})"
    (entry,) = model.predict({"code": f"({code})[1]"})["files"]
    assert (entry["path"], entry["temporary"]) == (str(tmp_path / "old.png"), False)


@pytest.mark.parametrize("output", ["Path({!r})", "open({!r})"])
def test_linked_file_has_the_name_of_the_link(
    model: Runner, tmp_path: pathlib.Path, output: str
) -> None:
    (tmp_path / "1960").write_text("glTF")
    (tmp_path / "second").symlink_to("1960")
    (tmp_path / "model.glb").symlink_to("second")
    (entry,) = model.predict({"code": output.format(str(tmp_path / "model.glb"))})["files"]
    assert entry == {
        "pointer": "",
        "path": str(tmp_path / "1960"),
        "temporary": False,
        "name": "model.glb",
    }


def test_file_behind_a_linked_directory_has_its_own_name(
    model: Runner, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.png").write_text("x")
    (tmp_path / "link").symlink_to("real")
    (entry,) = model.predict({"code": f"Path({str(tmp_path / 'link' / 'a.png')!r})"})["files"]
    assert entry == {"pointer": "", "path": str(tmp_path / "real" / "a.png"), "temporary": False}


@pytest.mark.parametrize("kept", [False, True], ids=["dropped", "kept"])
def test_file_that_is_removed_with_its_object_is_copied(model: Runner, kept: bool) -> None:
    made = "at_start(tempfile.NamedTemporaryFile(suffix='.png'), b'contents')"
    code = f"vars(tempfile).setdefault('kept', {made})" if kept else made
    (entry,) = model.predict({"code": f"[{code}]"})["files"]
    path = pathlib.Path(entry["path"])
    assert (path.parent.parent.parent.name, entry["temporary"], path.suffix) == (
        "outputs",
        True,
        ".png",
    )
    assert path.read_text() == "contents"


def test_file_that_outlives_its_object_is_not_copied(model: Runner) -> None:
    code = "at_start(tempfile.NamedTemporaryFile(suffix='.png', delete=False), b'contents')"
    (entry,) = model.predict({"code": code})["files"]
    assert not entry["path"].startswith(str(model.path / "outputs")) and entry["temporary"] is True
    assert pathlib.Path(entry["path"]).read_text() == "contents"


STREAMS = [
    ("io.BytesIO(b'contents')", "file"),
    ("io.StringIO('contents')", "file"),
    ("at_start(io.BytesIO(), b'contents')", "file"),
    ("at_start(io.StringIO(), 'contents')", "file"),
    ("open(write('in.txt'))", "in.txt"),
    ("open(write('in.txt'), 'rb')", "in.txt"),
    ("at_start(open(write('out.txt', ''), 'w+'), 'contents')", "out.txt"),
    ("at_start(tempfile.TemporaryFile(), b'contents')", "file"),
    ("at_start(tempfile.SpooledTemporaryFile(), b'contents')", "file"),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("code", "name"), STREAMS)
def test_open_file_is_sent_from_its_beginning(shared: Start, code: str, name: str) -> None:
    r = shared("evaluate.py:predict")
    text, files, id = raw_output(r, f"{{'f': {code}}}")
    assert text == '{"f":null}'
    ((pointer, path, temporary),) = [entry.values() for entry in files]
    assert (pointer, temporary, pathlib.Path(path).name) == ("/f", True, name)
    assert pathlib.Path(path).read_text() == "contents"
    assert stat.S_IMODE(pathlib.Path(path).parent.stat().st_mode) == 0o700
    if "write(" not in code:  # the file has no name any more, or was never on disk
        assert path == str(r.path / f"outputs/{id}/0/{name}")


def test_two_in_memory_files_have_different_paths(model: Runner) -> None:
    files = model.predict({"code": "[io.BytesIO(b'a'), io.BytesIO(b'b')]"})["files"]
    assert [pathlib.Path(entry["path"]).read_text() for entry in files] == ["a", "b"]
