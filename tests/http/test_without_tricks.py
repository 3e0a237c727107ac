"""``--without``: the server with its performance tricks switched off."""

from __future__ import annotations

import http.client
import json
import subprocess

import pytest

from servers import BINARY, ROOT
from waiting import until

TRICKS = ["ballast", "unmap", "disconnect", "sigmute", "pristine"]

MODEL = """
import builtins, os, time
from cog import BasePredictor

class Predictor(BasePredictor):
    def predict(self, text: str = "", seconds: float = 0.0) -> str:
        time.sleep(seconds)
        return os.environ.get("COGGO_WITHOUT", "") if text == "env" else text
"""


@pytest.mark.parametrize("off", [TRICKS, *([name] for name in TRICKS)], ids=",".join)
def test_everything_works_without_a_trick(start, off):
    flags = [f"--without={name}" for name in off]
    server = start(MODEL, *flags)
    for text in ["one", "two", "three"]:
        assert server.predict({"text": text}).json["output"] == text
    assert server.predict({"text": "env"}).json["output"] == ",".join(off)
    leaving = http.client.HTTPConnection("127.0.0.1", server.port)
    body = json.dumps({"id": "left", "input": {"seconds": 60}})
    leaving.request("POST", "/predictions", body, {"Content-Type": "application/json"})
    until("it runs", lambda: server.get("/predictions/left").json.get("status") == "processing")
    leaving.close()
    assert server.ended("left")["status"] == "canceled"
    assert server.health()["status"] == "READY"


def test_the_variable_switches_tricks_off_too(start):
    server = start(MODEL, env={"COGGO_WITHOUT": "sigmute,pristine"})
    assert server.predict({"text": "env"}).json["output"] == "sigmute,pristine"


def test_an_unknown_name_is_refused_with_those_that_exist():
    command = [str(BINARY), "--without=magic", str(ROOT / "examples/hello")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert ended.returncode == 2
    assert '"magic"' in ended.stderr and all(name in ended.stderr for name in TRICKS)
