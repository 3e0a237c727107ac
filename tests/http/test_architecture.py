"""docs/architecture.md names the packages, goroutines, tricks and words that are in the source."""

from __future__ import annotations

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/architecture.md").read_text()
MODULE = "github.com/coggo/coggo/"


def go_files() -> dict[pathlib.Path, str]:
    found = [path for part in ("cmd", "internal") for path in sorted((ROOT / part).rglob("*.go"))]
    return {path: path.read_text() for path in found if not path.name.endswith("_test.go")}


def section(title: str) -> str:
    return PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]


def package(path: pathlib.Path) -> str:
    return str(path.parent.relative_to(ROOT))


def imports() -> dict[str, set[str]]:
    """The packages of this module that each package imports."""
    found: dict[str, set[str]] = {}
    for path, text in go_files().items():
        ours = re.findall(rf'^\s+(?:\w+ )?"{MODULE}([^"]+)"$', text, re.MULTILINE)
        found.setdefault(package(path), set()).update(ours)
    return found


def test_every_package_has_a_row_with_its_imports():
    rows = re.findall(r"^\| `((?:internal|cmd)/\S+)` \| .* \| (.*?) ?\|$", PAGE, re.MULTILINE)
    shown = {
        name: {f"internal/{imported}" for imported in re.findall(r"`([^`]+)`", listed)}
        for name, listed in rows
        if not name.startswith("cmd/")
    }
    assert shown == {
        name: found for name, found in imports().items() if name.startswith("internal")
    }


def test_every_arrow_of_the_picture_is_an_import():
    [picture] = re.findall(r"```mermaid\n(.*?    httpapi --> .*?)```", PAGE, re.DOTALL)
    shown = set(re.findall(r"(\w+) --> (\w+)", picture))
    left_out = {"jsonscan", "weburl", "prediction"}
    there = {
        (name.rpartition("/")[2], imported.rpartition("/")[2])
        for name, found in imports().items()
        if name.startswith("internal")
        for imported in found
        if imported.rpartition("/")[2] not in left_out
    }
    assert shown == there


STARTS = re.compile(r"^\s*go \w|\.Go\(|\bAfterFunc\(")


def test_every_function_that_starts_a_goroutine_has_a_row():
    table = PAGE.partition("<!-- goroutines -->")[2].partition("<!-- end -->")[0]
    shown = {
        (directory, function)
        for directory, functions in re.findall(r"^\| `([\w/-]+)`: (.*?) \|", table, re.MULTILINE)
        for function in re.findall(r"`(\w+)`", functions)
    }
    there = set()
    for path, text in go_files().items():
        function = ""
        for line in text.splitlines():
            if begins := re.match(r"func (?:\([^)]*\) )?(\w+)", line):
                function = begins[1]
            if STARTS.search(line.split("//")[0]):
                there.add((package(path), function))
    assert shown == there


def test_every_thread_of_the_runner_has_a_row():
    code = "".join(path.read_text() for path in (ROOT / "python/cog").rglob("*.py"))
    there = set(re.findall(r'name="(cog-[\w-]+)"', code))
    assert set(re.findall(r"^\| `(cog-[\w-]+)` \|", PAGE, re.MULTILINE)) == there
    assert len(re.findall(r"threading\.Thread\(", code)) == len(re.findall(r'name="cog-', code))


def test_every_trick_has_a_row_and_its_file():
    config = (ROOT / "cmd/coggo-server/serving.go").read_text()
    [tricks] = re.findall(r'enum:"([\w,]+)" env:"COGGO_WITHOUT"', config)
    rows = re.findall(
        r"^\| `(\w+)` \| `([\w/.]+)` \|", section("Tricks, and how to switch them off"), re.M
    )
    assert sorted(name for name, _ in rows) == sorted(tricks.split(","))
    assert all((ROOT / path).exists() for _, path in rows)


def test_every_word_of_the_glossary_is_used():
    words = re.findall(r"^\| ([a-z ]+?) \| ", section("Glossary"), re.MULTILINE)
    words.remove("word")
    sources = [*go_files(), *(ROOT / "python/cog").rglob("*.py"), *ROOT.glob("bench/*.go")]
    sources += [path for path in ROOT.glob("docs/*.md") if path.name != "architecture.md"]
    text = "\n".join(path.read_text() for path in sources).lower()
    assert len(words) > 20
    assert [word for word in words if not re.search(rf"\b{word}", text)] == []


def test_every_lock_of_the_page_exists():
    named = set(re.findall(r"`(?:\w+\.)?(\w+)\.mu`", section("Locks")))
    source = "\n".join(go_files().values())
    there = re.findall(r"^(?:type|var) (\w+) (?:= )?struct \{(.*?)^\}", source, re.M | re.S)
    locked = {name for name, fields in there if re.search(r"^\s+mu +\*?sync\.", fields, re.M)}
    assert len(named) > 8
    assert named - locked == set()
