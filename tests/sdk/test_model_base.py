"""`cog.BaseModel` meets the expectations of models written for pydantic's base."""

from __future__ import annotations

import dataclasses
import pickle
import sys
from typing import Any, ClassVar, Dict, List, Optional, Tuple, Union

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


def test_fields_are_given_by_keyword_and_keep_their_order() -> None:
    assert Item(x=1, tags=["a"]) == Item(1, ["a"])
    assert Late(b=1).a == "a", "a field without default after one with"
    with pytest.raises(TypeError, match="'b'"):
        Late(a="x")
    with pytest.raises(TypeError, match="2 fields"):
        Late("x", 1, 2)


def test_unknown_keywords_are_ignored() -> None:
    assert Item(x=1, unknown=2).dict() == {"x": 1, "tags": [], "note": None}


@pytest.mark.parametrize(("given", "kept"), [(1, 1), (1.0, 1), ("1", 1), (" 1 ", 1)])
def test_numbers_are_converted_without_loss(given: Any, kept: int) -> None:
    made = Item(x=given)
    assert (made.x, type(made.x)) == (kept, int)
    assert type(Child(x=given).x) is float


@pytest.mark.parametrize("given", ["a", 1.5, True, None, [1]])
def test_mismatches_are_refused_with_the_name_of_the_field(given: Any) -> None:
    with pytest.raises(ValueError, match=r"Item\.x"):
        Item(x=given)


def test_mutable_defaults_are_copies() -> None:
    Item(x=1).tags.append("kept")
    assert Item(x=1).tags == []


def test_fields_are_inherited_and_can_be_overridden() -> None:
    assert list(Child(x=1).dict()) == ["x", "tags", "note", "more"]


def test_private_names_and_class_variables_are_not_fields() -> None:
    assert (Item(x=1).kind, Item(x=1)._hidden) == ("item", 3)


def test_nested_models_are_made_of_dicts() -> None:
    made = Child(x=1, more={"a": {"x": "2"}})
    assert made.more["a"].double() == 4
    assert made.model_dump() == {
        "x": 1.0,
        "tags": [],
        "note": None,
        "more": {"a": {"x": 2, "tags": [], "note": None}},
    }
    assert (
        made.json()
        == '{"x": 1.0, "tags": [], "note": null, "more": {"a": {"x": 2, "tags": [], "note": null}}}'
    )


def test_fields_can_be_files_and_secrets() -> None:
    class Files(BaseModel):
        file: Path
        key: Secret

    made = Files(file="a/b", key="hush")
    assert type(made.file) is Path and "hush" not in repr(made)


@pytest.mark.parametrize("library", [pydantic, pydantic.v1])
def test_fields_can_be_declared_with_the_field_of_pydantic(library: Any) -> None:
    class Mixed(BaseModel):
        a: int = library.Field(description="needed")
        b: int = library.Field(default=3, ge=1)
        c: List[int] = library.Field(default_factory=list)
        d: int = library.Field(...)

    assert Mixed(a=1, d=2).dict() == {"a": 1, "b": 3, "c": [], "d": 2}
    with pytest.raises(TypeError, match="'a'"):
        Mixed(d=1)


def test_the_options_of_the_class_are_those_of_a_dataclass() -> None:
    class Frozen(BaseModel, frozen=True):
        x: int

    assert len({Frozen(x=1), Frozen(x=1)}) == 1
    with pytest.raises(AttributeError, match="frozen"):
        Frozen(x=1).x = 2
    with pytest.raises(TypeError, match="unhashable"):
        hash(Item(x=1))


def test_a_model_cannot_derive_from_a_plain_dataclass() -> None:
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


def test_a_union_keeps_a_value_of_its_exact_member() -> None:
    class Either(BaseModel):
        v: Union[int, str]

    assert (Either(v="5").v, Either(v=5).v) == ("5", 5)


def test_a_model_is_a_dataclass_to_every_caller() -> None:
    assert dataclasses.is_dataclass(Child) and dataclasses.is_dataclass(Child(x=1))
    made = Child(x=1, more={"a": {"x": 2}})
    assert dataclasses.asdict(made) == made.model_dump()
    assert [(f.name, f.default is dataclasses.MISSING) for f in dataclasses.fields(Late)] == [
        ("a", False),
        ("b", True),
    ]
    assert dataclasses.replace(made, x=5).x == 5.0


def test_models_are_dataclasses_unless_switched_off() -> None:
    class Manual(BaseModel, auto_dataclass=False):
        x: int

    assert not dataclasses.is_dataclass(BaseModel)
    assert not dataclasses.is_dataclass(Manual)
    assert dataclasses.is_dataclass(Item)
    with pytest.raises(TypeError):
        dataclasses.fields(BaseModel)


@dataclasses.dataclass
class Decorated(BaseModel):
    """An answer."""

    score: float
    tags: List[str] = dataclasses.field(default_factory=list)
    note: str = "none"
    kind: ClassVar[str] = "decorated"
    start: dataclasses.InitVar[int] = 0

    def __post_init__(self, start: int) -> None:
        self.score += start


def test_a_model_can_be_decorated_as_a_dataclass() -> None:
    made = Decorated(0.5, start=2)
    assert made == Decorated(2.5, []) and made.model_dump() == {
        "score": 2.5,
        "tags": [],
        "note": "none",
    }
    assert dataclasses.asdict(made) == made.dict()
    assert [field.name for field in dataclasses.fields(Decorated)] == ["score", "tags", "note"]
    assert Decorated(1).tags is not Decorated(1).tags
    assert pickle.loads(pickle.dumps(made)) == made
    with pytest.raises(TypeError, match="score"):
        Decorated()
    with pytest.raises(TypeError, match="unknown"):
        Decorated(1, unknown=2)


def test_the_options_of_the_decorator_are_used() -> None:
    @dataclasses.dataclass(frozen=True, order=True)
    class Point(BaseModel):
        x: int
        y: int = 1

    assert Point(1) < Point(2) and len({Point(1), Point(1)}) == 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        Point(1).x = 2


def test_decorated_and_plain_models_derive_from_each_other() -> None:
    class Plain(BaseModel):
        a: int
        b: str = "b"

    @dataclasses.dataclass
    class Middle(Plain):
        c: int = 3

    class Last(Middle):
        d: Optional[str] = None

    assert Middle(1, "x").dict() == {"a": 1, "b": "x", "c": 3}
    assert Last(1, d="d").dict() == {"a": 1, "b": "b", "c": 3, "d": "d"}
    assert Last(1) != Last(1, d="d")
    assert [field.name for field in dataclasses.fields(Last)] == ["a", "b", "c", "d"]


def test_a_class_that_decorates_itself_has_its_fields() -> None:
    @dataclasses.dataclass
    class Manual(BaseModel, auto_dataclass=False):
        x: int
        tags: List[str] = dataclasses.field(default_factory=list)

    assert Manual(1).model_dump() == {"x": 1, "tags": []}
    assert list(Manual.__cog_fields__) == ["x", "tags"]


def test_a_model_can_have_slots() -> None:
    slots: Any = {"slots": True} if sys.version_info >= (3, 10) else {}

    @dataclasses.dataclass(**slots)
    class Slotted(BaseModel):
        x: int
        y: int = 2

    assert Slotted(1).model_dump() == {"x": 1, "y": 2}
    assert [field.has_default for field in Slotted.__cog_fields__.values()] == [False, True]


def test_the_default_is_on_the_class_and_not_on_an_object_without_the_field() -> None:
    class Lazy(BaseModel):
        x: int = 5

        def __init__(self) -> None:
            pass

    assert (Lazy.x, hasattr(Lazy(), "x"), Lazy().dict()) == (5, False, {})


def test_post_init_is_called() -> None:
    class Doubled(BaseModel):
        x: int

        def __post_init__(self) -> None:
            self.x *= 2

    assert Doubled(x="2").x == 4


def test_a_field_with_the_default_none_accepts_none() -> None:
    class Lax(BaseModel):
        x: int = None
        pair: Tuple[int, str] = None

    assert Lax(x=None, pair=(1, "a")).dict() == {"x": None, "pair": [1, "a"]}
    assert Lax(pair=(1, "a")).pair == (1, "a")
    with pytest.raises(ValueError, match=r"Lax\.pair\[0\]"):
        Lax(pair=("a", "a"))
