import dataclasses, os, pathlib
from typing import Any, Dict, FrozenSet, List, Literal, NamedTuple, Optional, Tuple, Union
from typing_extensions import TypedDict
import LIBRARY as pydantic
from LIBRARY import BaseModel, Field, SecretBytes, SecretStr
from LIBRARY.dataclasses import dataclass
import cog
from cog import BasePredictor, File, Path, Secret

after = getattr(
    pydantic, "model_validator", lambda mode: pydantic.root_validator(skip_on_failure=True)
)(mode="after")
of_field = getattr(pydantic, "field_validator", None) or pydantic.validator


class Upload(BaseModel):
    kind: Literal["upload"] = "upload"
    file: Path


class Words(BaseModel):
    kind: Literal["words"] = "words"
    file: str


class Typed(TypedDict, total=False):
    file: Path


class Named(NamedTuple):
    file: Path
    count: int = 0


@dataclasses.dataclass
class Standard:
    file: pathlib.Path


@dataclass
class Checked:
    file: Path
    count: int = Field(default=3, gt=1)


class Ours(cog.BaseModel):
    file: Path


class Box(BaseModel):
    inner: List[Upload]


class Places(BaseModel):
    plain: Optional[Path] = None
    standard: Optional[pathlib.Path] = None
    opened: Optional[File] = None
    checked: Optional[pydantic.FilePath] = None
    pair: Optional[Tuple[Path, int]] = None
    many: Optional[List[Path]] = None
    some: Optional[FrozenSet[pathlib.Path]] = None
    by_name: Optional[Dict[str, Path]] = None
    tagged: Optional[Union[Upload, Words]] = Field(default=None, discriminator="kind")
    either: Optional[Union[Path, int]] = None
    typed: Optional[Typed] = None
    named: Optional[Named] = None
    record: Optional[Standard] = None
    own: Optional[Checked] = None
    ours: Optional[Ours] = None
    box: Optional[Box] = None
    address: Optional[pydantic.HttpUrl] = None
    definitions: Optional[Path] = None


def contents(value):
    if isinstance(value, os.PathLike):
        return [pathlib.Path(value).read_text()[:20]]
    if hasattr(value, "read"):
        return [value.read(20).decode()]
    if isinstance(value, dict):
        value = list(value.values())
    elif hasattr(value, "__dict__"):
        value = list(vars(value).values())
    return (
        [text for item in value for text in contents(item)]
        if isinstance(value, (list, tuple, frozenset))
        else []
    )


class Predictor(BasePredictor):
    def predict(self, places: Places = None, own: Checked = None, all: List[Upload] = None) -> str:
        return "+".join(contents([places, own, all])) or repr([places, own, all])
