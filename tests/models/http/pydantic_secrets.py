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


class Key(BaseModel):
    kind: Literal["key"] = "key"
    token: SecretStr


class User(BaseModel):
    kind: Literal["user"] = "user"
    name: str
    password: Optional[Secret] = None


class Login(BaseModel):
    by: Union[Key, User] = Field(discriminator="kind")


@dataclass
class Checked:
    token: SecretStr


@dataclasses.dataclass
class Standard:
    token: Secret
    size: int = 1

    def __post_init__(self):
        if self.size > 5:
            raise ValueError(f"with {self.token.get_secret_value()} size {self.size} is too much")


class Given(BaseModel):
    plain: Optional[SecretStr] = None
    raw: Optional[SecretBytes] = None
    ours: Optional[Secret] = None
    pair: Optional[Tuple[SecretStr, int]] = None
    many: Optional[List[SecretStr]] = None
    by_name: Optional[Dict[str, SecretStr]] = None
    login: Optional[Login] = None
    either: Optional[Union[int, List[SecretStr], Key]] = None
    own: Optional[Checked] = None
    aliased: Optional[SecretStr] = Field(default=None, alias="Aliased")
    size: int = 1

    @of_field("plain")
    def must_be_good(cls, value):
        if value is not None and "bad" in value.get_secret_value():
            raise ValueError("not this one: " + value.get_secret_value())
        return value

    @after
    def must_be_small(cls, values):
        if (values["size"] if isinstance(values, dict) else values.size) > 5:
            raise ValueError("size is too much")
        return values

    @after
    def unused(cls, values):
        return values


class Predictor(BasePredictor):
    def predict(
        self,
        given: Given = None,
        checked: Checked = None,
        standard: Standard = None,
        text: SecretStr = None,
        raw: SecretBytes = None,
        end: str = "",
    ) -> str:
        print("got", given, checked, standard, text, raw)
        if end:
            try:
                Given(
                    **{
                        "size": "no number",
                        "plain": 5,
                        "login": {"kind": "key", "token": [end], "x": 1},
                    }
                )
            except ValueError as error:
                raise (RuntimeError("in vain") if "cause" in end else error) from error
        return "given"
