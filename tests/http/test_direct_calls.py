"""The model itself calls predict: omitted inputs have their defaults."""

from __future__ import annotations

import pytest

from model_sources import model_source

WARM = model_source("http/direct_calls_warm")


@pytest.mark.parametrize(
    "name",
    ["Base", "NoBase", "Decorated", "Wrapped", "Runs", "Inherits", "Yields", "Async", "Batched"],
)
def test_a_call_of_predict_in_setup_uses_the_defaults_of_omitted_inputs(start, name):
    server = start(WARM, predict=f"predict.py:{name}")
    output = server.predict({"prompt": "x"}).json["output"]
    assert output == (["xx"] if name == "Yields" else "xx")
