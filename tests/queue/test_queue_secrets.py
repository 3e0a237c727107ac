"""The model sees no address of the broker: docs/queue.md and docs/security.md."""

from __future__ import annotations

import pathlib

import pytest

from model_sources import model_source
from queue_harness import unique_name

PLACES = ("environment", "/proc/PARENT/environ", "/proc/PARENT/cmdline", "/proc/self/environ")


@pytest.mark.parametrize("how", ["variable", "flag", "flag="])
def test_the_address_of_the_broker_is_hidden(start_fleet, how):
    fleet = start_fleet(password="hidden-4721")
    url = fleet.broker.url
    assert "hidden-4721" in url
    address = {"variable": [], "flag": ["--queue", url], "flag=": [f"--queue={url}"]}[how]
    env = {"COGGO_QUEUE": url} if how == "variable" else {}
    name = unique_name()
    source = model_source("faults/models_see_no_secrets")
    worker = fleet.worker(source, name=name, address=address, env=env)
    gateway = fleet.gateway("--name", name, address=address, env=env)
    for place in PLACES:
        answer = gateway.predict({"what": place}).json
        assert answer["status"] == "succeeded"
        assert "hidden-4721" not in answer["output"], place
        assert "127.0.0.1:" + url.rpartition(":")[2] not in answer["output"], place
    for process in (worker, gateway):
        for file in ("environ", "cmdline"):
            shown = pathlib.Path(f"/proc/{process.process.pid}/{file}").read_bytes()
            assert b"hidden-4721" not in shown
        assert "hidden-4721" not in process.log()
