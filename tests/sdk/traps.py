"""The traps for a package that reads annotations at run time without any library. Runs in each
Python, and prints the result of each function as JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import pickle
import subprocess
import sys
import tempfile
import traceback
from typing import Any

HEADER = "from typing import *\nimport cog\nfrom cog import *\n"


def load(
    source: str, name: str = "predict.py:Predictor", header: str = HEADER, **files: str
) -> Any:
    """Load a model from its source in a fresh directory, which becomes the current one."""
    from cog.internal.contract.loader import load as load_model

    directory = tempfile.mkdtemp(dir=os.environ["TRAPS"])
    os.chdir(directory)
    file = name.partition(":")[0]
    for path, text in {
        file: header + source,
        **{f"{n}.py": text for n, text in files.items()},
    }.items():
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)
    for known in list(sys.modules):
        if (getattr(sys.modules[known], "__file__", None) or "").startswith(os.environ["TRAPS"]):
            del sys.modules[known]
    return load_model(name)


def document(source: str, **options: Any) -> Any:
    return load(source, **options).openapi()["components"]["schemas"]


def properties(source: str, **options: Any) -> Any:
    return document(source, **options)["Input"]["properties"]


def refused(source: str, **options: Any) -> str:
    from cog.errors import LoadError

    try:
        load(source, **options)
    except LoadError as error:
        return str(error)
    raise AssertionError("it was accepted")


def signature(parameters: str, returns: str = "str") -> str:
    return f"class Predictor:\n    def predict(self, {parameters}) -> {returns}: ...\n"


def trap_01_postponed_annotations_are_resolved_for_the_function_alone() -> None:
    postponed = "from __future__ import annotations\n" + HEADER
    hidden = "if TYPE_CHECKING:\n    from torch import Tensor\n"
    helper = (
        signature("n: int, o: Optional[Path] = None")
        + "    def helper(self, t: Tensor) -> Tensor: ...\n"
    )
    found = properties(hidden + helper, header=postponed)
    assert found["n"]["type"] == "integer" and found["o"]["nullable"]
    assert "b: " in refused(hidden + signature("a: int, b: Tensor"), header=postponed)


def trap_02_a_bar_in_a_quoted_annotation_works_on_every_python() -> None:
    found = properties(
        signature("""n: "int | None" = None, v: "int | str" = 1, xs: "list[int | None]" = []""")
    )
    assert found["n"] == {"title": "N", "type": "integer", "nullable": True, "x-order": 0}
    assert found["v"]["anyOf"] == [{"type": "integer"}, {"type": "string"}]
    assert found["xs"]["items"] == {"type": "integer", "nullable": True}
    assert properties(signature("""m: "Literal['a | b', 'c']" """))["m"]["allOf"]


def trap_03_none_as_default_means_the_same_on_every_python() -> None:
    nullable = {"title": "N", "type": "integer", "nullable": True, "x-order": 0}
    assert properties(signature("n: int = None"))["n"] == nullable
    assert properties(signature("""n: "int" = None"""))["n"] == nullable
    assert properties(signature("n: int = Input(default=None)"))["n"] == nullable
    assert "nullable" not in properties(signature("n: int = 0"))["n"]


def trap_04_a_generic_list_is_no_class() -> None:
    assert properties(signature("xs: list[int], d: dict[str, int]"))["xs"]["items"] == {
        "type": "integer"
    }
    assert "t: the type tuple[int" in refused(signature("t: tuple[int, str]"))
    assert "s: the type set[" in refused(signature("s: set[int]"))


def trap_05_none_may_stand_anywhere_in_a_union() -> None:
    spellings = [
        "Optional[int]",
        "Union[int, None]",
        "Union[None, int]",
        "'None | int'",
        "'int | None'",
    ]
    if sys.version_info >= (3, 10):
        spellings += ["int | None", "None | int"]
    found = [properties(signature(f"n: {s} = None"))["n"] for s in spellings]
    assert all(one == found[0] and one["nullable"] for one in found), found
    three = properties(signature("v: Union[int, None, str] = None"))["v"]
    assert (three["nullable"], [m["type"] for m in three["anyOf"]]) == (True, ["integer", "string"])


def trap_06_annotations_are_asked_for_as_this_python_keeps_them() -> None:
    from cog.internal.contract.annotations import raw

    class Base:
        a: int

    class Child(Base):
        pass

    assert list(raw(Base)) == ["a"] and raw(Child) == {}
    source = "class Out(BaseModel):\n    good: int\n    bad: 'Missing'\n" + signature("", "Out")
    assert "field 'bad' of Out" in refused(source)


def trap_07_inherited_fields_and_fields_as_text_are_found() -> None:
    models = "class A(BaseModel):\n    a: int\nclass B(A):\n    b: Optional[Path] = None\n"
    assert list(document(models + signature("", "B"))["Output"]["properties"]) == ["a", "b"]
    data = "import dataclasses\n@dataclasses.dataclass\nclass Box:\n    key: 'Secret'\n    file: 'Path'\n"
    found = properties(data + signature("box: Box"))["box"]["properties"]
    assert (found["key"]["format"], found["file"]["format"]) == ("password", "uri")


def trap_08_a_model_is_in_sys_modules_while_it_is_imported() -> None:
    source = "import dataclasses, sys, pickle\n@dataclasses.dataclass\nclass Box:\n    x: int = 3\nassert sys.modules[__name__].Box is Box\nSAVED = pickle.dumps(Box(4))\n"
    load(source + signature("n: int"), header="from __future__ import annotations\n" + HEADER)
    assert pickle.loads(sys.modules["predict"].SAVED).x == 4


def trap_09_files_named_like_other_modules_hide_nothing_and_are_not_hidden() -> None:
    names = ["json", "schema", "loader", "inspect", "ast", "kinds"]
    for name in names:
        model = load(
            f"import json\nVALUE = json.dumps({{}})\n{signature('s: str')}",
            name=f"{name}.py:Predictor",
        )
        assert model.openapi() and json.dumps([]) == "[]"
    both = "import predict, helper\nclass Predictor:\n    def predict(self, s: str = helper.NAME) -> str: ...\n"
    model = load(both, helper="import predict\nNAME = predict.__name__\n")
    assert (
        model.openapi()["components"]["schemas"]["Input"]["properties"]["s"]["default"] == "predict"
    )


def trap_09_a_runner_in_the_directory_of_the_model_takes_standard_modules_from_python() -> None:
    load(
        signature("s: str"),
        **dict.fromkeys(("json", "tempfile", "ast", "shutil"), "raise ImportError('hidden')"),
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "cog.command.openapi_schema", "predict.py:Predictor"],
        stdout=subprocess.PIPE,
    )
    assert json.loads(done.stdout)["openapi"]


def trap_10_booleans_are_no_integers_and_enums_of_text_are_texts() -> None:
    assert "n: default=True" in load(signature("n: int = True")).warnings[0]
    assert "n: choices has True" in refused(signature("n: int = Input(choices=[1, True])"))
    assert "n: choices has 1.0" in refused(signature("n: int = Input(choices=[1.0, 2])"))
    enum = "import enum\nclass Shade(str, enum.Enum):\n    DARK = 'dark'\n"
    model = load(enum + signature("s: str = Input(default=Shade.DARK, choices=list(Shade))"))
    default = model.predict.decode({}, {})["s"]
    assert (type(default), f"{default}") == (str, "dark")
    assert model.openapi()["components"]["schemas"]["s"]["enum"] == ["dark"]


def trap_11_defaults_of_every_kind_have_a_schema_and_are_not_shared() -> None:
    shared = "SAME = Input(default=1)\nimport enum\nclass E(str, enum.Enum):\n    A = 'a'\n"
    model = load(
        shared
        + signature(
            "a: int = SAME, b: int = SAME, xs: List[int] = [1], p: Path = Path('x/y'), k: Secret = Secret('hush'), e: E = E.A"
        )
    )
    text = json.dumps(model.openapi())
    assert "hush" not in text
    found = model.openapi()["components"]["schemas"]["Input"]["properties"]
    assert [found[name]["x-order"] for name in found] == list(range(6))
    assert (found["p"]["default"], found["e"]["default"], found["xs"]["default"]) == (
        "x/y",
        "a",
        [1],
    )
    model.predict.decode({}, {})["xs"].append(2)
    assert model.predict.decode({}, {})["xs"] == [1]


def trap_12_what_json_does_not_have_is_never_written() -> None:
    from cog.errors import OutputError
    from cog.internal.runtime.output import FileTable, encode_output

    def encoded(value: Any) -> str:
        try:
            return encode_output(value, FileTable(str)).decode()
        except OutputError as error:
            return str(error)

    assert encoded({"x": [float("nan")]}) == "not JSON: NaN at output.x[0]"
    assert encoded("a\ud800") == '"a\ufffd"'
    assert encoded({1: 2, None: 3}) == '{"1":2,"null":3}'
    assert "tuple" in encoded({(1, 2): 3})


def trap_13_a_bound_keeps_the_authors_digits() -> None:
    from cog.errors import InputError

    model = load(signature(f"n: int = Input(le={2**64 - 1})"))
    assert (
        model.openapi()["components"]["schemas"]["Input"]["properties"]["n"]["maximum"] == 2**64 - 1
    )
    try:
        model.predict.decode({"n": 2**64}, {})
    except InputError as error:
        assert "18446744073709551615" in str(error)


def trap_14_libraries_of_the_model_are_not_imported() -> None:
    load(signature("p: Path, s: Secret, xs: List[int]", "Any")).openapi()
    assert not {"pydantic", "numpy", "torch", "typing_extensions"} & set(sys.modules)


def trap_15_what_comes_of_a_path_is_a_path_of_cog() -> None:
    from cog import Path

    here = Path("a")
    made = [
        here / "b",
        here.parent,
        here.with_suffix(".x"),
        Path("a", "b"),
        Path.cwd(),
        here.absolute(),
        "x" / here,
    ]
    assert all(type(one) is Path for one in made), made
    assert pickle.loads(pickle.dumps(here)) == here and repr(here) == "Path('a')"


def trap_16_decorated_methods_are_seen_through() -> None:
    bare = "def deco(f):\n    def wrapper(*args, **kwargs):\n        return f(*args, **kwargs)\n    return wrapper\n"
    assert list(
        properties(
            bare + "class Predictor:\n    @deco\n    def predict(self, n: int) -> str: ...\n"
        )
    ) == ["n"]
    wrapped = "import functools\ndef deco(f):\n    @functools.wraps(f)\n    async def wrapper(*args, **kwargs):\n        return f(*args, **kwargs)\n    return wrapper\n"
    model = load(
        wrapped
        + "class Predictor:\n    @deco\n    def predict(self, n: int) -> str:\n        return str(n)\n"
    )
    model.setup()
    assert model.predict.is_async and asyncio.run(model.predict.call({"n": 3})) == "3"
    partial = "import functools\nasync def work(n: int, k: int = 1) -> str: ...\npredict = functools.partial(work)\n"
    assert load(partial, name="predict.py:predict").predict.is_async


def trap_17_a_model_sees_no_arguments_and_an_exit_is_a_refusal() -> None:
    seen = "import sys\nprint('noise')\nSEEN = len(sys.argv)\n"
    with contextlib.redirect_stdout(io.StringIO()):
        assert properties(seen + signature("n: int = SEEN"))["n"]["default"] == 1
    assert "sys.exit(4)" in refused("import sys\nsys.exit(4)\n")


def trap_18_computed_values_and_escapes_are_the_real_ones() -> None:
    source = "NAMES = [c.upper() for c in 'ab']\nTypes = List[Path]\n"
    found = document(
        source
        + signature(
            r"""s: str = Input(default=NAMES[1], choices=NAMES), t: str = "a\n\"\u00e9", x: Types = []"""
        )
    )
    assert found["s"]["enum"] == ["A", "B"] and found["Input"]["properties"]["s"]["default"] == "B"
    assert found["Input"]["properties"]["t"]["default"] == 'a\n"é'
    assert found["Input"]["properties"]["x"]["items"]["format"] == "uri"


def main() -> None:
    results = {}
    with tempfile.TemporaryDirectory() as directory:
        os.environ["TRAPS"] = directory
        for name, trap in list(globals().items()):
            if name.startswith("trap_"):
                path = list(sys.path)
                try:
                    trap()
                    results[name] = ""
                except BaseException:
                    results[name] = traceback.format_exc()
                sys.path[:] = path
        os.chdir("/")
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    main()
