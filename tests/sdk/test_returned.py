"""Returned values and declared types: numbers are converted if nothing is lost, and any other
mismatch fails with its place.
"""

from __future__ import annotations

import pathlib
import sys

import pytest

from interpreters import ask_all

#: All models are loaded before the first test, in every Python side by side.
pytestmark = pytest.mark.timeout(300)

SCRIPT = pathlib.Path(__file__).with_name("returned.py")

#: Annotation, returned value, and the JSON text of the answer, or ``!`` and words of the error.
ROWS = [
    ("str", "'a'", '"a"'),
    ("str", "''", '""'),
    ("str", "None", "null"),
    ("str", "5", "!output: must be a string; got 5"),
    ("str", "['a']", "!output: must be a string"),
    ("str", "Shade.DARK", '"dark"'),
    ("str", "Plain.A", '"a"'),
    ("str", "uuid.UUID(int=1)", '"00000000-0000-0000-0000-000000000001"'),
    ("str", "datetime.date(2024, 1, 2)", '"2024-01-02"'),
    ("str", "Secret('hush')", '"**********"'),
    ("str", "b'raw'", "!output"),
    ("int", "5", "5"),
    ("int", "0", "0"),
    ("int", "5.0", "5"),
    ("int", "'5'", "5"),
    ("int", "5.5", "!output: must be an integer; got 5.5"),
    ("int", "'x'", "!output: must be an integer"),
    ("int", "True", "!output: must be an integer; got True"),
    ("int", "2**70", str(2**70)),
    ("int", "Level.HIGH", "3"),
    ("int", "None", "null"),
    ("float", "1", "1.0"),
    ("float", "'1.5'", "1.5"),
    ("float", "0.0", "0.0"),
    ("float", "True", "!output: must be a number; got True"),
    ("float", "float('nan')", "!not JSON: NaN at output"),
    ("float", "float('-inf')", "!not JSON: -Infinity at output"),
    ("float", "10**400", "!output: must be a finite 64-bit float"),
    ("float", "decimal.Decimal('1.25')", "1.25"),
    ("bool", "False", "false"),
    ("bool", "1", "!output: must be a boolean; got 1"),
    ("bool", "'yes'", "!output: must be a boolean"),
    ("Path", "'no/such/file'", "!output is the file no/such/file"),
    ("Path", "'https://example.com/a.png'", '"https://example.com/a.png"'),
    ("Path", "'data:,hi'", '"data:,hi"'),
    ("List[Path]", "['http://example.com/a.png', __file__]", '["http://example.com/a.png",null]'),
    ("Path", "'file:///etc/passwd'", "!output is the file file:/etc/passwd"),
    ("Path", "5", "!output: must be a path; got 5"),
    ("Path", "pathlib.Path('/')", "!output is /, which is not a regular file"),
    ("Path", "Path(__file__)", "null"),
    ("Path", "__file__", "null"),
    ("Path", "pathlib.Path(__file__)", "null"),
    ("Path", "open(__file__)", "null"),
    ("File", "io.BytesIO(b'x')", "null"),
    ("File", "io.StringIO('x')", "null"),
    ("Optional[Path]", "None", "null"),
    ("List[Path]", "[Path(__file__), __file__]", "[null,null]"),
    ("List[Path]", "[Path('/nowhere')]", "!output[0] is the file /nowhere"),
    ("Dict[str, Path]", "{'a': Path(__file__)}", '{"a":null}'),
    ("Secret", "'hush'", '"**********"'),
    ("Any", "{'a': [1, (2, 3)], 'b': None}", '{"a":[1,[2,3]],"b":null}'),
    ("Any", "{'x': [1.5, float('nan')]}", "!not JSON: NaN at output.x[1]"),
    ("Any", "(n for n in numbers())", "[1,2]"),
    ("dict", "{'z': 1, 'a': 2}", '{"z":1,"a":2}'),
    ("dict", "[1]", "!output: must be an object"),
    ("dict", "Box(1)", '{"x":1,"tags":[]}'),
    ("Dict[str, int]", "{'a': '5', 'b': 2.0}", '{"a":5,"b":2}'),
    ("Dict[str, int]", "{'a': 'x'}", "!output.a: must be an integer"),
    ("list", "[]", "[]"),
    ("list", "'abc'", "!output: must be a list; got 'abc'"),
    ("List[int]", "[1, '2', 3.0]", "[1,2,3]"),
    ("List[int]", "[1, 'x']", "!output[1]: must be an integer"),
    ("List[int]", "(1, 2)", "[1,2]"),
    ("List[int]", "{3, 1, 2}", "[1,2,3]"),
    ("List[int]", "numbers()", "[1,2]"),
    ("List[int]", "range(3)", "[0,1,2]"),
    ("List[int]", "5", "!output: must be a list; got 5"),
    ("List[List[float]]", "[[1, 2], []]", "[[1.0,2.0],[]]"),
    ("List[Any]", "Pair(1, 2)", "[1,2]"),
    ("Set[int]", "{2, 1}", "[1,2]"),
    ("Optional[int]", "None", "null"),
    ("Optional[int]", "'7'", "7"),
    ("Union[int, str]", "'7'", '"7"'),
    ("Union[int, str]", "7", "7"),
    ("Union[int, List[int]]", "[1]", "[1]"),
    ("Union[int, List[int]]", "{}", "!output: must be an integer or a list of integers"),
    ("Literal['a', 'b']", "'a'", '"a"'),
    ("Literal['a', 'b']", "'c'", "!output: must be one of: a, b; got 'c'"),
    ("Shade", "Shade.DARK", '"dark"'),
    ("Shade", "'dark'", '"dark"'),
    ("Shade", "'pink'", "!output: must be one of: dark"),
    ("Item", "Item(score=1, label='x')", '{"score":1.0,"label":"x","tags":[]}'),
    ("Item", "Item(score='0.5')", '{"score":0.5,"label":null,"tags":[]}'),
    ("Item", "{'score': 1, 'unknown': 2}", '{"score":1.0,"label":null,"tags":[]}'),
    ("Item", "{'score': 'x'}", "!output.score: must be a number"),
    ("Item", "{'label': 'x'}", "!output.score: Field required"),
    ("Item", "5", "!output: must be an object of type Item"),
    ("Item", "Item(score=1, unknown=2)", '{"score":1.0,"label":null,"tags":[]}'),
    ("Item", "Item()", "!Item needs the field 'score'"),
    ("Item", "Item(score='x')", "!Item.score"),
    (
        "Nested",
        "Nested(item=Item(score=1))",
        '{"item":{"score":1.0,"label":null,"tags":[]},"many":{}}',
    ),
    (
        "Nested",
        "Nested(item={'score': 2})",
        '{"item":{"score":2.0,"label":null,"tags":[]},"many":{}}',
    ),
    (
        "List[Item]",
        "[Item(score=1), {'score': 2}]",
        '[{"score":1.0,"label":null,"tags":[]},{"score":2.0,"label":null,"tags":[]}]',
    ),
    ("Dict[str, Item]", "{'a': {'score': 'x'}}", "!output.a.score: must be a number"),
    ("Box", "Box(1, ['a'])", '{"x":1,"tags":["a"]}'),
    ("Box", "{'x': 1}", '{"x":1,"tags":[]}'),
    ("Tree", "Tree(Box(1))", '{"box":{"x":1,"tags":[]},"key":"**********"}'),
    ("Message", "{'role': 'a', 'n': 1}", '{"role":"a","n":1}'),
    ("Message", "{'role': 'a'}", "!output.n: Field required"),
    ("tuple", "(1, 'a', [2])", '[1,"a",[2]]'),
    ("tuple", "[1]", "[1]"),
    ("tuple", "'ab'", "!output: must be a list; got 'ab'"),
    ("Tuple[str, int]", "('cat', 3)", '["cat",3]'),
    ("Tuple[str, int]", "['cat', '3']", '["cat",3]'),
    ("Tuple[str, int]", "(x for x in ('cat', 3.0))", '["cat",3]'),
    ("Tuple[str, int]", "('cat', 'x')", "!output[1]: must be an integer; got 'x'"),
    ("Tuple[str, int]", "('cat', 3, 4)", "!output: must be a list of 2 items; got 3"),
    ("Tuple[str, int]", "'ab'", "!output: must be a list of 2 items; got 'ab'"),
    ("Tuple[str, int]", "{'cat', 3}", "!output: must be a list of 2 items"),
    ("Tuple[str, int]", "None", "null"),
    ("Tuple[int, ...]", "(1, '2', 3.0)", "[1,2,3]"),
    ("Tuple[Path, Path]", "(Path(__file__), __file__)", "[null,null]"),
    ("Tuple[str, Optional[Path]]", "('a', None)", '["a",null]'),
    ("(str, int)", "('cat', 3)", '["cat",3]'),
    ("List[Tuple[str, float]]", "[('cat', 1), ('dog', '0.5')]", '[["cat",1.0],["dog",0.5]]'),
    ("Union[int, Tuple[int, int]]", "(1, '2')", "[1,2]"),
    ("Pair", "Pair(1, '2')", "[1,2]"),
    ("Pair", "(1, 2)", "[1,2]"),
    ("Pair", "Pair('x', 2)", "!output[0]: must be an integer"),
    ("Corners", "Corners(first=(1, '2'))", '{"first":[1.0,2.0],"last":null}'),
    ("Corners", "{'first': [1, 2], 'last': [3, 4]}", '{"first":[1.0,2.0],"last":[3.0,4.0]}'),
    ("Corners", "Corners(first=(1, 2)).first[0]", "!output: must be an object of type Corners"),
    ("Corners", "Corners(first=(1,))", "!Corners.first: must be a list of 2 items; got 1"),
    ("None", "None", "null"),
    ("None", "0", "!output: must be None; got 0"),
    ("'None'", "None", "null"),
    ("List[None]", "[None]", "[null]"),
    ("List[str]", "['a', None]", "!output[1]: must be a"),
    ("Decorated", "Decorated(Path(__file__))", '{"file":null,"score":0.5,"tags":[]}'),
    ("Decorated", "{'file': __file__, 'score': '2'}", '{"file":null,"score":2.0,"tags":[]}'),
    ("Lax", "Lax(text=None)", '{"text":null}'),
    ("Lax", "{'text': None}", '{"text":null}'),
    ("datetime.datetime", "datetime.datetime(2024, 1, 2, 3, 4)", '"2024-01-02T03:04:00"'),
    ("decimal.Decimal", "decimal.Decimal('2')", "2"),
]


#: The same with numpy and pydantic, in the interpreter of the tests, where they are installed.
RICH_ROWS = [
    ("int", "np.int64(5)", "5"),
    ("int", "np.uint8(255)", "255"),
    ("int", "np.float32(5.0)", "5"),
    ("int", "np.float32(5.5)", "!output: must be an integer; got 5.5"),
    ("int", "np.array(7)", "7"),
    ("int", "np.bool_(True)", "!output: must be an integer; got True"),
    ("float", "np.float64(0.5)", "0.5"),
    ("float", "np.float32(0.5)", "0.5"),
    ("float", "np.int32(2)", "2.0"),
    ("float", "np.float64('nan')", "!not JSON: NaN at output"),
    ("float", "np.array([1.0])", "!output: must be a number"),
    ("bool", "np.bool_(False)", "false"),
    ("str", "np.str_('a')", '"a"'),
    ("List[float]", "np.array([1, 2.5])", "[1.0,2.5]"),
    ("List[int]", "np.arange(3)", "[0,1,2]"),
    ("List[List[int]]", "np.eye(2, dtype=int)", "[[1,0],[0,1]]"),
    ("List[float]", "[np.float32(0.5), np.int8(1)]", "[0.5,1.0]"),
    ("List[float]", "np.array([[1.0]])", "!output[0]: must be a number"),
    ("Dict[str, float]", "{'a': np.float32(0.5)}", '{"a":0.5}'),
    ("Any", "np.array([[1, 2], [3, 4]])", "[[1,2],[3,4]]"),
    ("Any", "np.float64(1.5)", "1.5"),
    ("Any", "{'x': [np.array([np.inf])]}", "!not JSON: Infinity at output.x[0][0]"),
    ("Any", "np.datetime64('2024-01-02')", '"2024-01-02"'),
    ("dict", "{np.str_('k'): np.int64(1)}", '{"k":1}'),
    (
        "dict",
        "{np.int64(3): 'a', np.uint8(4): {np.bool_(True): np.float32(0.5)}}",
        '{"3":"a","4":{"true":0.5}}',
    ),
    ("dict", "{np.float32(0.5): 1, np.float64(1.5): 2}", '{"0.5":1,"1.5":2}'),
    ("Dict[str, float]", "{np.int32(7): np.float32(0.5)}", '{"7":0.5}'),
    ("Any", "[dict(zip(*np.unique([3, 3, 5], return_counts=True)))]", '[{"3":2,"5":1}]'),
    ("Tuple[int, float]", "np.array([1, 0])", "[1,0.0]"),
    ("Tuple[List[int], str]", "(np.arange(2), np.str_('a'))", '[[0,1],"a"]'),
    ("dict", "{'a': np.arange(2), 'b': np.float32(0.5)}", '{"a":[0,1],"b":0.5}'),
    ("Any", "np.array(['a', 'b'])", '["a","b"]'),
    ("np.ndarray", "np.zeros(2)", "[0.0,0.0]"),
    ("Any", "New(x=1)", '{"x":1,"file":null}'),
    ("Any", "New(x=1, file=Path(__file__))", '{"x":1,"file":null}'),
    ("Any", "Old(x='1')", '{"x":1,"many":[]}'),
    ("Any", "[New(x=1), Old(x=2)]", '[{"x":1,"file":null},{"x":2,"many":[]}]'),
    ("Any", "Outer(inner=New(x=1))", '{"inner":{"x":1,"file":null},"key":"**********"}'),
    ("New", "New(x=1)", '{"x":1,"file":null}'),
    ("New", "{'x': '1'}", '{"x":1,"file":null}'),
    ("New", "{'x': 'a'}", "!output: does not fit New"),
    ("Old", "{'x': '1'}", '{"x":1,"many":[]}'),
    ("List[New]", "[{'x': 1}]", '[{"x":1,"file":null}]'),
    ("Any", "loop()", "!the output contains itself at output[0].again"),
    ("Any", "deep(5000)", "!the output is nested too deeply for JSON"),
    ("Any", "10**5000", "1" + "0" * 5000),
    ("Any", r"'a\ud800b'", '"a\ufffdb"'),
    ("Any", "object()", "!output is a builtins.object, which has no form in JSON"),
    ("Any", "{(1, 2): 3}", "!a key of output is a tuple"),
]


@pytest.fixture(scope="module")
def answers() -> dict[str, list[str]]:
    """The answers to every row, by version of Python."""
    return ask_all(SCRIPT, [row[:2] for row in ROWS])


@pytest.fixture(scope="module")
def rich_answers() -> list[str]:
    """The answers in the interpreter with numpy and pydantic."""
    answers: list[str] = ask_all(
        SCRIPT, [r[:2] for r in RICH_ROWS], "rich", pythons={"": sys.executable}
    )[""]
    return answers


def fits(found: str, want: str) -> bool:
    return found.startswith(want) if want.startswith("!") else found == want


@pytest.mark.parametrize("row", range(len(ROWS)), ids=[f"{a} {e}"[:60] for a, e, _ in ROWS])
def test_a_returned_value_is_answered_or_refused_like_this(
    answers: dict[str, list[str]], row: int
) -> None:
    for version, found in answers.items():
        assert fits(found[row], ROWS[row][2]), f"{version}: {found[row]}"


@pytest.mark.parametrize(
    "row", range(len(RICH_ROWS)), ids=[f"{a} {e}"[:60] for a, e, _ in RICH_ROWS]
)
def test_a_returned_value_of_a_library_is_answered_or_refused_like_this(
    rich_answers: list[str], row: int
) -> None:
    assert fits(rich_answers[row], RICH_ROWS[row][2]), rich_answers[row]


def test_the_table_of_returned_values_has_at_least_60_rows() -> None:
    assert len(ROWS) >= 60
