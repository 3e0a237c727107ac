import sys
import cog
import LIBRARY as pydantic


class Result(pydantic.BaseModel):
    file: cog.Path
    key: cog.Secret
    many: list = []


made = Result(file="a/b", key="hush")
assert type(made.file) is cog.Path and type(made.key) is cog.Secret and "hush" not in repr(made)
schema = (getattr(Result, "model_json_schema", None) or Result.schema)()
assert (
    schema["properties"]["file"]["format"] == "uri"
    and schema["properties"]["key"]["format"] == "password"
)
try:
    Result(file=5, key="x")
except ValueError as error:
    assert "path" in str(error)
else:
    raise AssertionError("accepted")
