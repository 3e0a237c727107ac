"""The document at /openapi.json is true: schemathesis sends requests that it allows and requests
that it forbids.
"""

from __future__ import annotations

import json
import pathlib
import subprocess

import pytest

from model_sources import model_source

SCHEMATHESIS = (
    pathlib.Path(__file__).resolve().parents[2] / ".venv-openapi" / "bin" / "schemathesis"
)

HELLO = """
from cog import BasePredictor, Input
class Predictor(BasePredictor):
    def predict(
        self,
        name: str = Input(description="Whom to greet"),
        times: int = Input(description="How often", default=1, ge=1, le=10),
    ) -> str:
        return " ".join(["hello " + name] * times)
"""

FILES = model_source("openapi/document_files")

ITERATOR = """
from cog import BasePredictor, ConcatenateIterator, Input, streaming
class Predictor(BasePredictor):
    @streaming
    def predict(self, text: str = "a b", count: int = Input(default=2, ge=0, le=5)) -> ConcatenateIterator[str]:
        for _ in range(count):
            yield text
    def train(self, steps: int = 1) -> str:
        return "trained"
"""


#: Left out: the path that ends the server, and forms, because schemathesis names their parts with
#: control characters, which headers cannot contain.
LEFT_OUT = ["--exclude-path-regex", "^/shutdown$", "--exclude-operation-id", "files.create"]


def promised(server, directory: pathlib.Path, base: str = "") -> pathlib.Path:
    """The server's document plus one keyword: an output may be null. The server leaves that out
    because Cog's client needs a bare reference there.
    """
    document = server.get(f"{base}/openapi.json").json
    schemas = document["components"]["schemas"]
    for response in (
        schemas[name] for name in ("PredictionResponse", "TrainingResponse") if name in schemas
    ):
        response["properties"]["output"] = {
            "allOf": [response["properties"]["output"]],
            "nullable": True,
        }
    path = directory / "openapi.json"
    path.write_text(json.dumps(document))
    return path


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("base", ["", "/v1"], ids=["own", "v1"])
@pytest.mark.parametrize("model", [HELLO, FILES, ITERATOR], ids=["hello", "files", "iterator"])
def test_schemathesis_finds_no_contradiction(start, tmp_path, model, base):
    server = start(model)
    where = [promised(server, tmp_path, base), "--url", f"http://127.0.0.1:{server.port}{base}"]
    found = subprocess.run(
        [SCHEMATHESIS, "run", *where, "--checks", "all", "--max-examples", "20", *LEFT_OUT],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stdout + found.stderr
    assert server.health()["status"] == "READY"
