"""What a running prediction has done so far, at every gateway: docs/queue.md, What clients see."""

from __future__ import annotations

import pytest

from model_sources import model_source
from queue_harness import ASYNC, runs
from waiting import until

MODEL = model_source("queue/so_far")


@pytest.fixture(scope="module")
def fleet(start_fleet_once):
    return start_fleet_once(MODEL)


def so_far(server, path):
    body = server.get(path).json
    return body["status"], body["output"], body["logs"]


def seen_everywhere(fleet, path, output):
    """Every process shows the same of a prediction that nobody streams."""
    for process in [*fleet.gateways, *fleet.workers]:
        want = ("processing", output, "so far\n")
        until(f"{path} at {process.port}", lambda p=process, w=want: so_far(p, path) == w)


@pytest.mark.parametrize("how", ["post", "put", "v1", "training"])
def test_get_shows_output_and_logs_so_far_at_every_process(fleet, tmp_path, how):
    one, other = fleet.gateways
    body = {"input": {"until": str(tmp_path / "end")}}
    id, kind, output = f"far-{how}", "predictions", ["one"]
    if how == "post":
        one.predict(body["input"], ASYNC, id=id)
    elif how == "put":
        one.ask("PUT", f"/predictions/{id}", body, **ASYNC)
    elif how == "training":
        kind, output = "trainings", None
        one.ask("PUT", f"/trainings/{id}", body, **ASYNC)
    else:
        answer = one.ask(
            "POST", "/v1/predictions", {"version": fleet.name, **body}, Prefer="wait=1"
        )
        assert answer.status == 201
        id = answer.json["id"]
    runs(other, id, kind)
    seen_everywhere(fleet, f"/{kind}/{id}", output)
    if how != "training":
        seen_everywhere(fleet, f"/v1/predictions/{id}", output)
    if how == "put":
        again = other.ask("PUT", f"/predictions/{id}", body, **ASYNC)
        assert (again.status, again.json["output"], again.json["logs"]) == (
            202,
            ["one"],
            "so far\n",
        )
    (tmp_path / "end").touch()
    assert other.ended(id)["status"] == "succeeded"
