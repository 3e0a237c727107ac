from typing import Annotated
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


class Odd(BaseModel):
    file: Annotated[Path, pydantic.WithJsonSchema({"type": "string"})] = None
    standard: Annotated[pathlib.Path, pydantic.WithJsonSchema({"type": "string"})] = None
    opened: Annotated[File, pydantic.WithJsonSchema({"type": "string"})] = None
    anything: Annotated[List[Path], pydantic.WithJsonSchema({})] = []
    written: pydantic.Json[Any] = None
    within: Annotated[
        pydantic.Json[List[pathlib.Path]], pydantic.WithJsonSchema({"type": "string"})
    ] = None


class Called(BaseModel):
    model_config = dict(populate_by_name=True)
    standard: pathlib.Path = Field(default=None, alias="Standard")
    file: Path = Field(default=None, alias="File")


class Given(BaseModel):
    model_config = dict(validate_default=True)
    file: Path = "own.txt"
    other: pathlib.Path = pathlib.Path("own.txt")


class Predictor(BasePredictor):
    def predict(self, odd: Odd = None, called: Called = None, given: Given = None) -> str:
        return str(
            [
                pathlib.Path(v).read_text()[:20]
                for m in (odd, called, given)
                if m
                for v in vars(m).values()
                if v
            ]
        )
