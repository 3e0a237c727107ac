"""The arrows between the parts of the Python package: all imports in its source, lazy ones too."""

from __future__ import annotations

import ast
import pathlib
from collections.abc import Iterator

PYTHON = pathlib.Path(__file__).parents[2] / "python"

#: The allowed imports. Below ``cog.internal`` every arrow points down this list. ``cog`` stands for
#: the public modules, which import the private ones only when needed.
ALLOWED = {
    "file_runner": {"runtime", "contract", "wire", "pristine", "cog"},
    "runtime": {"contract", "wire", "pristine", "cog"},
    "contract": {"pristine", "cog"},
    "wire": {"pristine"},
    "pristine": set(),
    "cog": {"contract", "runtime", "pristine"},
}

#: The public modules that the private ones import.
PUBLIC = {
    "contract": {"cog", "cog.base_predictor", "cog.batch", "cog.errors", "cog.input", "cog.types"},
    "runtime": {"cog.batch", "cog.errors", "cog.scope"},
    "file_runner": {"cog", "cog.errors"},
}

#: Modules with a single file.
MODULES = {
    ".".join(path.relative_to(PYTHON).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((PYTHON / "cog").rglob("*.py"))
}


def wing(module: str) -> str:
    parts = module.split(".")
    return parts[2] if parts[:2] == ["cog", "internal"] and len(parts) > 2 else "cog"


def targets(node: ast.AST) -> Iterator[str]:
    """The modules of this package that an import statement names."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if alias.name in MODULES)
    elif isinstance(node, ast.ImportFrom) and node.module in MODULES:
        for alias in node.names:
            full = f"{node.module}.{alias.name}"
            yield full if full in MODULES else node.module


def imports(source: str, lazy: bool = True) -> set[str]:
    tree = ast.parse(source)
    nodes = ast.walk(tree) if lazy else iter(tree.body)
    return {target for node in nodes for target in targets(node)}


def arrows() -> Iterator[tuple[str, str]]:
    for module, path in MODULES.items():
        for target in imports(path.read_text()):
            if wing(target) != wing(module):
                yield module, target


def test_imports_between_wings_are_the_allowed_ones():
    found: dict[str, set[str]] = {name: set() for name in ALLOWED}
    for module, target in arrows():
        if target != "cog.internal":
            found.setdefault(wing(module), set()).add(wing(target))
    assert found == ALLOWED


def test_the_private_modules_import_few_of_the_public_ones():
    found: dict[str, set[str]] = {}
    for module, target in arrows():
        if wing(target) == "cog":
            found.setdefault(wing(module), set()).add(target)
    found.pop("cog", None)
    assert found == PUBLIC


def test_imports_at_the_top_of_modules_have_no_circle():
    graph = {module: imports(path.read_text(), lazy=False) for module, path in MODULES.items()}
    while graph:
        leaves = {module for module, needs in graph.items() if not needs & graph.keys() - {module}}
        assert leaves, f"a circle within {sorted(graph)}"
        graph = {module: needs for module, needs in graph.items() if module not in leaves}


def test_the_predictor_module_and_the_loader_do_not_import_each_other():
    assert "cog.predictor" not in imports(MODULES["cog.internal.contract.loader"].read_text())


def test_a_lazy_import_counts():
    source = "def f():\n    from cog.internal.wire import spool\n    import cog.types"
    assert imports(source) == {"cog.internal.wire.spool", "cog.types"}
    assert imports(source, lazy=False) == set()
