import warnings
import numpy as np
import pydantic
import pydantic.v1


class New(pydantic.BaseModel):
    x: int
    file: Optional[Path] = None
    model_config = {"arbitrary_types_allowed": True}


class Old(pydantic.v1.BaseModel):
    x: int
    many: List[str] = []


class Outer(pydantic.BaseModel):
    inner: New
    key: pydantic.SecretStr = pydantic.SecretStr("hush")
