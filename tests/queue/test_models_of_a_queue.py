"""Several models and versions on one broker, and which of them a request means:
docs/queue.md#many-models.
"""

from __future__ import annotations

import contextlib
import io
import json
import pathlib
import re
import shutil
import subprocess
import sys

import httpx
import pytest
import replicate
from replicate.exceptions import ReplicateError

from model_sources import model_source
from nats_client import Nats
from queue_harness import ASYNC, answers, runs
from waiting import until

ROOT = pathlib.Path(__file__).resolve().parents[2]

#: The queues, with the name of the input that only this model has. The first version of acme/pair
#: is older than the second one. The two of acme/mixed have a queue without a version beside them.
QUEUES = {
    "acme/one": "one",
    "acme/two": "two",
    "acme/pair:b": "old",
    "acme/pair:a": "new",
    "acme/mixed": "plain",
    "acme/mixed:2": "second",
    "acme-2/odd.name_x:1.0-rc.1": "odd",
}
NAMES = list(QUEUES)
OF_THE_VERSION = {"acme/pair": "acme/pair:a", "acme/mixed": "acme/mixed"}


def start_worker(fleet, name, **options):
    return fleet.worker(answers(name, QUEUES.get(name, "x")), name=name, **options)


@pytest.fixture(scope="module")
def fleet(start_fleet_once):
    """A worker for each queue, a gateway without a name, and one with a name."""
    fleet = start_fleet_once()
    for name in NAMES:
        start_worker(fleet, name, ready=name == "acme/pair:b")
    for worker in fleet.workers:
        worker.wait_status("READY")
    fleet.gateway()
    fleet.gateway("--name", "acme/one")
    for gateway in fleet.gateways:
        gateway.wait_models(7)
    return fleet


@pytest.fixture(scope="module", params=["gateway", "named gateway", "worker"])
def speaker(request, fleet):
    """Each kind of process that speaks for the whole queue."""
    return {
        "gateway": fleet.gateways[0],
        "named gateway": fleet.gateways[1],
        "worker": fleet.workers[1],
    }[request.param]


def versions(name):
    base, _, version = name.partition(":")
    return base, version


def wait(server, path, body, **headers):
    return server.ask("POST", path, body, Prefer="wait", **headers)


@pytest.mark.parametrize("name", NAMES)
def test_the_path_of_a_model_chooses_the_queue(speaker, name):
    field = QUEUES[name]
    answer = speaker.ask("POST", f"/models/{name}/predictions", {"input": {field: "x"}})
    assert (answer.status, answer.json["output"]) == (200, f"{name} x")
    found = speaker.get(f"/models/{name}/openapi.json").json
    assert field in found["components"]["schemas"]["Input"]["properties"]
    assert found["x-coggo-model"] == name
    assert found["servers"] == [{"url": f"/models/{name}"}]
    assert speaker.get(f"/models/{name}/").json["predictions_url"] == f"/models/{name}/predictions"
    health = speaker.get(f"/models/{name}/health-check").json
    assert health["queue"]["workers"] >= 1 and health["status"] in ("READY", "BUSY")


@pytest.mark.parametrize("name", NAMES)
def test_a_path_of_v1_chooses_the_queue(speaker, name):
    base, version = versions(name)
    given = {"input": {QUEUES[name]: "x"}}
    made = wait(speaker, f"/v1/models/{name}/predictions", given)
    assert (made.status, made.json["output"]) == (201, f"{name} x")
    assert made.json["model"] == base and (made.json["version"] == version or not version)
    deployed = wait(speaker, f"/v1/deployments/{name}/predictions", given)
    assert deployed.json["output"] == f"{name} x"
    if version:
        made = wait(speaker, f"/v1/models/{base}/predictions", {**given, "version": version})
        assert made.json["output"] == f"{name} x"
    found = speaker.get(f"/v1/models/{name}").json
    assert (found["owner"] + "/" + found["name"]) == base
    assert found["latest_version"]["id"] == made.json["version"]
    fields = found["latest_version"]["openapi_schema"]["components"]["schemas"]["Input"]
    assert QUEUES[name] in fields["properties"]


@pytest.mark.parametrize("name", NAMES)
def test_version_chooses_the_queue(speaker, name):
    id = speaker.get(f"/v1/models/{name}").json["latest_version"]["id"]
    for version in (name, id):
        made = wait(speaker, "/v1/predictions", {"version": version, "input": {QUEUES[name]: "x"}})
        assert (made.status, made.json["output"]) == (201, f"{name} x"), made.json


def test_a_model_without_a_version_has_the_same_id_on_one_server(speaker, start):
    alone = start(answers("acme/one", "one"), "--name", "acme/one").get("/v1/models/acme/one").json
    shared = speaker.get("/v1/models/acme/one").json
    assert alone["latest_version"]["id"] == shared["latest_version"]["id"]
    assert len(alone["latest_version"]["id"]) == 64


@pytest.mark.parametrize("base", OF_THE_VERSION)
def test_without_a_version_it_is_the_queue_without_one_or_else_the_newest(speaker, base):
    name = OF_THE_VERSION[base]
    for answer in (
        speaker.ask("POST", f"/models/{base}/predictions", {"input": {}}),
        wait(speaker, f"/v1/models/{base}/predictions", {"input": {}}),
        wait(speaker, "/v1/predictions", {"version": base, "input": {}}),
    ):
        assert answer.json["output"] == f"{name} "


def test_the_input_is_checked_by_the_schema_of_the_chosen_queue(speaker):
    for name, field in QUEUES.items():
        for path in (f"/models/{name}/predictions", f"/v1/models/{name}/predictions"):
            refused = speaker.ask("POST", path, {"input": {field: 3}})
            assert refused.status == 422 and field in json.dumps(refused.json)
    refused = speaker.ask("POST", "/v1/predictions", {"version": "acme/two", "input": {"two": []}})
    assert refused.status == 422


UNKNOWN = [
    "acme/thr%65e",
    "acme/o%2Ane",
    "acme/%2A",
    "acme/%3E",
    "acme%2Fone/x",
    "acme/one%253A",
    "a.b/c.d",
    "acme/one:9",
]


@pytest.mark.parametrize("name", UNKNOWN)
def test_an_unknown_name_is_404_with_those_that_exist(speaker, name):
    for method, path, body in (
        ("POST", f"/v1/models/{name}/predictions", {"input": {}}),
        ("POST", f"/v1/deployments/{name}/predictions", {"input": {}}),
        ("GET", f"/v1/models/{name}", None),
        ("GET", f"/v1/models/{name}/versions", None),
        ("POST", f"/models/{name}/predictions", {"input": {}}),
        ("PUT", f"/models/{name}/predictions/u1", {"input": {}}),
        ("GET", f"/models/{name}/predictions", None),
        ("GET", f"/models/{name}/openapi.json", None),
        ("GET", f"/models/{name}", None),
        ("GET", f"/models/{name}/docs/examples.json", None),
    ):
        refused = speaker.ask(method, path, body)
        assert refused.status == 404, (path, refused)
        assert "acme/one" in refused.json["detail"], (path, refused.json)


def test_an_unknown_version_is_404_with_those_that_exist(speaker):
    for version in ("9", "0" * 64, "acme/pair:c", "acme/none"):
        refused = speaker.ask("POST", "/v1/predictions", {"version": version, "input": {}})
        assert refused.status == 404 and "acme/pair:a" in refused.json["detail"]
    refused = speaker.ask("POST", "/v1/models/acme/pair/predictions", {"version": "c"})
    assert refused.status == 404 and "acme/pair:a, acme/pair:b" in refused.json["detail"]
    assert speaker.get("/v1/models/acme/pair/versions/c").status == 404
    refused = speaker.ask("POST", "/v1/models/acme/one/predictions", {"version": "acme/two"})
    assert refused.status == 404 and "is not a version of acme/one" in refused.json["detail"]
    refused = speaker.ask("POST", "/v1/predictions", {"version": 2, "input": {}})
    assert refused.status == 422 and refused.json["invalid_fields"][0]["field"] == "version"


def test_predictions_without_a_name(fleet):
    unnamed, named, worker = *fleet.gateways[:2], fleet.workers[1]
    for answer in (
        unnamed.predict({}),
        unnamed.get("/openapi.json"),
        unnamed.ask("PUT", "/predictions/u", {}),
    ):
        assert answer.status == 404
        assert all(name in answer.json["detail"] for name in NAMES)
    assert unnamed.ask("POST", "/v1/predictions", {"input": {}}).status == 404
    assert named.predict({}).json["output"] == "acme/one "
    assert wait(named, "/v1/predictions", {"input": {}}).json["output"] == "acme/one "
    assert worker.predict({}).json["output"] == "acme/two "


def test_a_gateway_without_a_name_is_ready_with_several_models(fleet):
    gateway = fleet.gateways[0]
    assert gateway.get("/readyz").status == 200
    health = gateway.health()
    assert health["status"] == "READY" and health["queue"]["workers"] == len(NAMES)
    assert "model" not in health["queue"]


def test_the_lists_of_models_and_versions(speaker):
    listed = speaker.get("/models").json
    assert listed["chosen"] == "" and [m["name"] for m in listed["results"]] == sorted(NAMES)
    for model in listed["results"]:
        assert (model["model"], model["version"]) == versions(model["name"]) or len(
            model["version"]
        ) == 64
        assert model["url"].endswith(f"/models/{model['name']}")
    below = speaker.get("/models/acme/pair:b/models").json
    assert below["chosen"] == "acme/pair:b" and below["results"] == listed["results"]
    found = speaker.get("/v1/models").json["results"]
    assert [f"{m['owner']}/{m['name']}" for m in found] == sorted({versions(n)[0] for n in NAMES})
    ids = [v["id"] for v in speaker.get("/v1/models/acme/pair/versions").json["results"]]
    assert ids == ["a", "b"], "newest first"
    assert speaker.get("/v1/models/acme/pair/versions/b").json["id"] == "b"
    times = [v["created_at"] for v in speaker.get("/v1/models/acme/pair/versions").json["results"]]
    assert times == sorted(times, reverse=True) and len(set(times)) == 2


def test_the_path_of_a_model_is_below_that_of_a_proxy(fleet):
    gateway = fleet.gateway("--path-prefix", "/gw")
    gateway.wait_models(len(NAMES))
    for server, outside, headers in (
        (gateway, "/gw", {}),
        (gateway, "", {}),
        (fleet.gateways[0], "", {"X_Forwarded_Prefix": "/gw"}),
    ):
        found = server.get(f"{outside}/models/acme/one/openapi.json", **headers).json
        assert found["servers"] == [{"url": "/gw/models/acme/one"}]
        listed = server.get(f"{outside}/models/acme/two/models", **headers).json["results"]
        assert listed[0]["url"].endswith(f"/gw/models/{listed[0]['name']}")
        made = wait(server, f"{outside}/models/acme/one/v1/predictions", {}, **headers)
        path = made.json["urls"]["get"].partition(str(server.port))[2]
        assert path.startswith("/gw/models/acme/one/v1/predictions/")
        reached = path if outside else path.removeprefix("/gw")
        assert server.get(reached).json["id"] == made.json["id"]


def test_an_id_is_found_at_every_process_with_its_model(fleet, speaker, tmp_path):
    given = {"input": {"until": str(tmp_path / "never")}}
    id = f"find-{speaker.port}"
    put = speaker.ask("PUT", f"/models/acme/two/predictions/{id}", given, **ASYNC)
    assert put.status == 202
    again = speaker.ask("PUT", f"/models/acme/two/predictions/{id}", given, **ASYNC)
    assert again.status == 202, "the same request joins"
    for other in (*fleet.gateways, *fleet.workers):
        runs(other, id)
        found = other.get(f"/v1/predictions/{id}").json
        assert (found["model"], found["status"]) == ("acme/two", "processing")
    assert speaker.ask("PUT", f"/models/acme/one/predictions/{id}", given).status == 409
    assert fleet.gateways[0].ask("POST", f"/predictions/{id}/cancel").status == 200
    ended = fleet.workers[0].ended(id)
    assert ended["status"] == "canceled"
    moved = speaker.ask("PUT", f"/models/acme/one/predictions/{id}", {"input": {"one": "1"}})
    assert moved.json["output"] == "acme/one 1", "an id that has ended may go to another model"
    assert speaker.get(f"/v1/predictions/{id}").json["model"] == "acme/one"


def test_lists_show_the_model_of_each(fleet, speaker, tmp_path):
    mark = f"list-{speaker.port}"
    for name in NAMES:
        speaker.ask("POST", f"/models/{name}/predictions", {"id": f"{mark} {name}", "input": {}})
    found = {p["id"]: p for p in speaker.get("/v1/predictions").json["results"]}
    for name in NAMES:
        base, version = versions(name)
        shown = found[f"{mark} {name}"]
        assert shown["model"] == base
        assert shown["version"] == (
            version or speaker.get(f"/v1/models/{name}").json["latest_version"]["id"]
        )
    for asked, there in (
        ("acme/two", ["acme/two"]),
        ("acme/pair", ["acme/pair:a", "acme/pair:b"]),
        ("acme/pair:b", ["acme/pair:b"]),
    ):
        of_it = [p["id"] for p in speaker.get(f"/models/{asked}/predictions").json["results"]]
        of_it = [id for id in of_it if id.startswith(mark)]
        assert sorted(of_it) == [f"{mark} {name}" for name in there]


def test_a_list_shows_what_waits_in_each_queue(fleet, tmp_path):
    unnamed = fleet.gateways[0]
    given = {"input": {"until": str(tmp_path / "end")}}
    for name in ("acme/one", "acme/two"):
        for n in range(3):
            unnamed.ask("PUT", f"/models/{name}/predictions/w{n}-{name[-3:]}", given, **ASYNC)
        runs(unnamed, f"w0-{name[-3:]}")
    listed = {p["id"]: p["status"] for p in unnamed.get("/predictions").json["results"]}
    for name in ("one", "two"):
        assert [listed[f"w{n}-{name}"] for n in range(3)] == ["processing", "starting", "starting"]
    only = unnamed.get("/models/acme/one/predictions").json["results"]
    assert "w1-one" in [p["id"] for p in only] and "w1-two" not in [p["id"] for p in only]
    shown = {p["id"]: p["model"] for p in unnamed.get("/v1/predictions").json["results"]}
    assert (shown["w1-one"], shown["w1-two"]) == ("acme/one", "acme/two")
    (tmp_path / "end").touch()
    for name in ("one", "two"):
        unnamed.ended(f"w2-{name}")


def test_a_stream_below_the_path_of_a_model(start_fleet):
    fleet = start_fleet()
    fleet.worker(model_source("queue/tokens"), name="acme/talks")
    start_worker(fleet, "acme/quiet")
    gateway = fleet.gateway()
    gateway.wait_models(2)
    events = {"Accept": "text/event-stream"}
    talks = gateway.ask("POST", "/models/acme/talks/predictions", {"input": {"n": 1}}, **events)
    assert talks.status == 200 and talks.body.count(b"event: output") == 2
    assert gateway.ask("POST", "/models/acme/quiet/predictions", {}, **events).status == 406


def test_nothing_below_the_path_of_a_model_shuts_the_server_down(fleet):
    assert fleet.gateways[0].ask("POST", "/models/acme/one/shutdown").status == 404
    assert fleet.gateways[0].get("/livez").status == 200


def test_max_queue_counts_each_model(start_fleet, tmp_path):
    fleet = start_fleet()
    for name in ("acme/one", "acme/two"):
        start_worker(fleet, name)
    gateway = fleet.gateway("--max-queue", "1")
    gateway.wait_models(2)
    given = {"input": {"until": str(tmp_path / "end")}}
    for name in ("one", "two"):
        path = f"/models/acme/{name}/predictions"
        assert gateway.ask("PUT", f"{path}/runs-{name}", given, **ASYNC).status == 202
        runs(gateway, f"runs-{name}")
        assert gateway.ask("POST", path, given, **ASYNC).status == 202
        refused = gateway.ask("POST", path, given, **ASYNC)
        assert refused.status == 429 and f"queue of acme/{name}" in refused.json["detail"]
    (tmp_path / "end").touch()
    until("all have run", lambda: gateway.health()["queue"]["waiting"] == 0)


def wait_served(gateway, **workers):
    """Wait until the gateway knows so many workers of each version of acme/it."""
    for version, count in workers.items():
        path = f"/models/acme/it:{version}/health-check"
        until(
            f"{count} workers of {version}",
            lambda p=path, n=count: gateway.get(p).json["queue"]["workers"] == n,
        )


def test_a_rollout_moves_requests_to_the_new_version_and_back(start_fleet):
    fleet = start_fleet()
    old = start_worker(fleet, "acme/it:z1")
    gateway = fleet.gateway("--name", "acme/it")
    assert gateway.predict({}).json["output"] == "acme/it:z1 "
    new = start_worker(fleet, "acme/it:a2")
    until("it goes to the new one", lambda: gateway.predict({}).json["output"] == "acme/it:a2 ")
    named = gateway.ask("POST", "/models/acme/it:z1/predictions", {})
    assert named.json["output"] == "acme/it:z1 "
    again = start_worker(fleet, "acme/it:z1")
    wait_served(gateway, z1=2, a2=1)
    assert gateway.predict({}).json["output"] == "acme/it:a2 ", "a restart makes nothing newer"
    new.close()
    wait_served(gateway, a2=0)
    assert gateway.predict({}).json["output"] == "acme/it:z1 ", "it goes back"
    old.close()
    again.close()
    until("no worker is left", lambda: gateway.health()["queue"]["workers"] == 0)
    waits = gateway.predict({}, ASYNC, id="waits")
    assert waits.status == 202 and gateway.get("/v1/predictions/waits").json["version"] == "a2"
    plain = start_worker(fleet, "acme/it")
    gateway.wait_models(3)
    assert gateway.predict({}).json["output"] == "acme/it ", "the one without a version goes first"
    plain.close()
    until(
        "its worker has gone",
        lambda: gateway.get("/models/acme/it/health-check").json["queue"]["workers"] == 0,
    )
    assert gateway.predict({}, ASYNC, id="kept").status == 202
    client = Nats(fleet.broker.url)
    client.publish("coggo.w.acme%2Fit.model")
    gateway.wait_models(2)
    assert gateway.predict({}, ASYNC, id="kept-2").status == 202
    assert gateway.get("/v1/predictions/kept-2").json["version"] == "a2"
    assert gateway.get("/v1/predictions/kept").json["model"] == "acme/it", "it waits still"
    client.close()


def test_a_gateway_serves_its_name_before_any_worker_has(start_fleet):
    fleet = start_fleet()
    start_worker(fleet, "acme/other")
    gateway = fleet.gateway("--name", "acme/later", ready=False)
    gateway.wait_models(1)
    assert gateway.predict({}).status == 503 and gateway.get("/readyz").status == 503
    assert gateway.ask("POST", "/models/acme/other/predictions", {}).status == 200
    assert gateway.ask("POST", "/models/acme/never/predictions", {}).status == 404


@contextlib.contextmanager
def client_of(server, path=""):
    with httpx.HTTPTransport() as transport:
        made = replicate.Client(
            api_token="any", base_url=f"http://127.0.0.1:{server.port}{path}", transport=transport
        )
        made.poll_interval = 0.02
        yield made


def test_the_python_client_runs_each_model(speaker):
    with client_of(speaker) as client:
        for name, field in QUEUES.items():
            if name != "acme/mixed:2":
                assert client.run(name, input={field: "x"}) == f"{name} x"
        two = client.models.get("acme/two")
        assert client.run(f"acme/two:{two.latest_version.id}", input={"two": "x"}) == "acme/two x"
        pair = client.models.get("acme/pair").versions.list()
        assert [v.id for v in pair] == ["a", "b"]
        made = client.predictions.create(version="acme/mixed:2", input={"second": "x"}, wait=True)
        assert (made.model, made.version, made.output) == ("acme/mixed", "2", "acme/mixed:2 x")
        assert client.predictions.get(made.id).output == made.output
        listed = {p.id: p for p in client.predictions.list()}
        assert (listed[made.id].model, listed[made.id].version) == ("acme/mixed", "2")
        assert {f"{m.owner}/{m.name}" for m in client.models.list()} >= {"acme/one", "acme/pair"}
        with pytest.raises(ReplicateError, match="acme/one"):
            client.run("acme/none", input={})
    with client_of(speaker, "/models/acme/pair:b") as client:
        assert client.run("acme/two", input={"two": "x"}) == "acme/two x", "the name goes first"
        made = client.predictions.create(version="b", input={"old": "x"}, wait=True)
        assert made.output == "acme/pair:b x"


def test_a_version_that_several_models_have_is_refused_with_their_names(start_fleet):
    fleet = start_fleet()
    for name in ("acme/a:2", "acme/b:2"):
        start_worker(fleet, name)
    gateway = fleet.gateway("--name", "acme/a")
    gateway.wait_models(2)
    with client_of(gateway) as client, pytest.raises(ReplicateError, match="acme/a:2, acme/b:2"):
        client.run("acme/b:2", input={})
    for name in ("acme/a:2", "acme/b:2"):
        with client_of(gateway, f"/models/{name}") as client:
            assert client.run(name, input={}) == f"{name} "


def test_models_with_the_same_interface_have_different_ids(start_fleet):
    fleet = start_fleet()
    for name in ("acme/a", "acme/b"):
        fleet.worker(answers(name, "x"), name=name)
    gateway = fleet.gateway()
    gateway.wait_models(2)
    with client_of(gateway) as client:
        for name in ("acme/a", "acme/b"):
            id = client.models.get(name).latest_version.id
            assert client.run(f"{name}:{id}", input={}) == f"{name} "


def test_a_program_for_one_model_runs_below_the_path_of_a_model(start_fleet, tmp_path):
    """A program of docs/clients.md, with another URL."""
    fleet = start_fleet()
    (tmp_path / "model").mkdir()
    shutil.copytree(ROOT / "examples/hello", tmp_path / "model", dirs_exist_ok=True)
    fleet.worker(model_dir=tmp_path / "model", name="acme/hello:2")
    start_worker(fleet, "acme/one")
    gateway = fleet.gateway()
    gateway.wait_models(2)
    page = (ROOT / "docs/clients.md").read_text()
    [program] = re.findall(r"```python\n(.*?)```", page.partition("## Polling")[2], re.DOTALL)[:1]
    url = f"http://127.0.0.1:{gateway.port}/models/acme/hello:2"
    assert "http://localhost:5000" in program
    done = subprocess.run(
        [sys.executable, "-c", program.replace("http://localhost:5000", url)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0 and "hello you" in done.stdout, done.stderr


KEEPS_A_KEY = """
import cog
class Predictor:
    def predict(self, key: {kind}) -> str:
        return "done"
"""


def test_secrets_are_those_of_the_chosen_model(start_fleet):
    fleet = start_fleet()
    for name, kind in (("acme/hides", "cog.Secret"), ("acme/shows", "str")):
        fleet.worker(KEEPS_A_KEY.format(kind=kind), name=name)
    gateway = fleet.gateway()
    gateway.wait_models(2)
    for name, shown in (("acme/hides", "**********"), ("acme/shows", "s3cret")):
        given = {"input": {"key": "s3cret"}}
        id = gateway.ask("POST", f"/models/{name}/predictions", given).json["id"]
        made = wait(gateway, f"/v1/models/{name}/predictions", given).json
        for one in (gateway.get(f"/predictions/{id}").json, made):
            assert one["input"]["key"] == shown
    listed = gateway.get("/v1/predictions").json["results"]
    assert {(p["model"], p["input"]["key"]) for p in listed} == {
        ("acme/hides", "**********"),
        ("acme/shows", "s3cret"),
    }


def test_a_training_is_found_at_a_gateway_whose_model_has_no_train(start_fleet):
    fleet = start_fleet()
    start_worker(fleet, "acme/plain")
    fleet.worker(model_source("queue/everything"), name="acme/trains")
    gateway = fleet.gateway("--name", "acme/plain")
    gateway.wait_models(2)
    assert gateway.ask("POST", "/trainings", {}).status == 404
    made = gateway.ask("PUT", "/models/acme/trains/trainings/t1", {"input": {}})
    assert (made.status, made.json["output"]) == (200, {"weights": "w"})
    assert gateway.get("/trainings/t1").json == made.json
    assert "trainings_url" in gateway.get("/models/acme/trains").json
    assert "trainings_url" not in gateway.get("/").json


def test_a_file_uploaded_below_the_path_of_a_model_is_an_input(start_fleet):
    fleet = start_fleet()
    fleet.worker(model_source("queue/files"), name="acme/reads")
    start_worker(fleet, "acme/one")
    gateway = fleet.gateway()
    gateway.wait_models(2)
    with client_of(gateway, "/models/acme/reads") as client:
        made = client.files.create(io.BytesIO(b"contents"), filename="a.txt")
    answer = gateway.ask(
        "POST", "/models/acme/reads/predictions", {"input": {"file": made.urls["get"]}}
    )
    assert answer.json["output"]["read"][:2] == ["a.txt", len("contents")], answer.json
