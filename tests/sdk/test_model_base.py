"""`cog.BaseModel` does what models written for pydantic's base expect of it."""

from __future__ import annotations

import pickle
from typing import Any, ClassVar, Dict, List, Optional, Union

import pydantic
import pydantic.v1
import pytest

from cog import BaseModel, Input, Path, Secret


class Item(BaseModel):
    x: int
    tags: List[str] = []
    note: Optional[str]
    kind: ClassVar[str] = "item"
    _hidden: int = 3

    class Config:
        arbitrary_types_allowed = True

    def double(self) -> int:
        return 2 * self.x


class Child(Item):
    x: float
    more: Dict[str, Item] = Input(default_factory=dict)


class Late(BaseModel):
    a: str = "a"
    b: int


def test_fields_by_keyword_and_in_order() -> None:
    assert Item(x=1, tags=["a"]) == Item(1, ["a"])
    assert Late(b=1).a == "a", "a field without default after one with"
    with pytest.raises(TypeError, match="'b'"):
        Late(a="x")
    with pytest.raises(TypeError, match="2 fields"):
        Late("x", 1, 2)


def test_unknown_keywords_are_ignored() -> None:
    assert Item(x=1, unknown=2).dict() == {"x": 1, "tags": [], "note": None}


@pytest.mark.parametrize(("given", "kept"), [(1, 1), (1.0, 1), ("1", 1), (" 1 ", 1)])
def test_numbers_are_made_exact(given: Any, kept: int) -> None:
    made = Item(x=given)
    assert (made.x, type(made.x)) == (kept, int)
    assert type(Child(x=given).x) is float


@pytest.mark.parametrize("given", ["a", 1.5, True, None, [1]])
def test_what_does_not_fit_is_refused_with_the_name_of_the_field(given: Any) -> None:
    with pytest.raises(ValueError, match=r"Item\.x"):
        Item(x=given)


def test_mutable_defaults_are_copies() -> None:
    Item(x=1).tags.append("kept")
    assert Item(x=1).tags == []


def test_inherited_and_overridden_fields() -> None:
    assert list(Child(x=1).dict()) == ["x", "tags", "note", "more"]


def test_private_names_and_class_variables_are_no_fields() -> None:
    assert (Item(x=1).kind, Item(x=1)._hidden) == ("item", 3)


def test_nested_models_are_made_of_dicts() -> None:
    made = Child(x=1, more={"a": {"x": "2"}})
    assert made.more["a"].double() == 4
    assert made.model_dump() == {"x": 1.0, "tags": [], "note": None, "more": {"a": {"x": 2, "tags": [], "note": None}}}
    assert made.json() == '{"x": 1.0, "tags": [], "note": null, "more": {"a": {"x": 2, "tags": [], "note": null}}}'


def test_files_and_secrets() -> None:
    class Files(BaseModel):
        file: Path
        key: Secret

    made = Files(file="a/b", key="hush")
    assert type(made.file) is Path and "hush" not in repr(made)


@pytest.mark.parametrize("library", [pydantic, pydantic.v1])
def test_fields_of_pydantic(library: Any) -> None:
    class Mixed(BaseModel):
        a: int = library.Field(description="needed")
        b: int = library.Field(default=3, ge=1)
        c: List[int] = library.Field(default_factory=list)
        d: int = library.Field(...)

    assert Mixed(a=1, d=2).dict() == {"a": 1, "b": 3, "c": [], "d": 2}
    with pytest.raises(TypeError, match="'a'"):
        Mixed(d=1)


def test_options_of_the_class() -> None:
    class Frozen(BaseModel, frozen=True):
        x: int

    assert len({Frozen(x=1), Frozen(x=1)}) == 1
    with pytest.raises(AttributeError, match="frozen"):
        Frozen(x=1).x = 2
    with pytest.raises(TypeError, match="unhashable"):
        hash(Item(x=1))


def test_a_dataclass_is_not_mixed_in() -> None:
    import dataclasses

    @dataclasses.dataclass
    class Data:
        x: int

    with pytest.raises(TypeError, match="Data"):
        type("Both", (BaseModel, Data), {})


def test_objects_can_be_pickled_and_changed() -> None:
    made = Item(x=1)
    made.x = 5
    assert pickle.loads(pickle.dumps(made)) == made
    assert repr(made) == "Item(x=5, tags=[], note=None)"


def test_a_union_takes_the_exact_member() -> None:
    class Either(BaseModel):
        v: Union[int, str]

    assert (Either(v="5").v, Either(v=5).v) == ("5", 5)


def test_a_model_is_a_dataclass_for_whoever_asks() -> None:
    import dataclasses

    assert dataclasses.is_dataclass(Child) and dataclasses.is_dataclass(Child(x=1))
    made = Child(x=1, more={"a": {"x": 2}})
    assert dataclasses.asdict(made) == made.model_dump()
    assert [(f.name, f.default is dataclasses.MISSING) for f in dataclasses.fields(Late)] == [("a", False), ("b", True)]
    assert dataclasses.replace(made, x=5).x == 5.0
