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


class Job(BaseModel):
    kind: Literal["job"] = "job"
    file: Path
    token: Optional[SecretStr] = None


class Idle(BaseModel):
    kind: Literal["idle"] = "idle"


class Work(BaseModel):
    todo: Union[Job, Idle] = Field(discriminator="kind")


# METHOD
def train(work: Work) -> str:
    return work.todo.file.read_text()
