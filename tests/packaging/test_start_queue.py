"""The examples of a queue in deploy/ start together and work: gateway and worker in boxes that
share a network, as in test_start.py, and a real broker in it with the arguments and the
configuration of the files. Only the names of hosts are others, because a box has no DNS.
"""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import urllib.parse

import pytest
import yaml
from box import Box, possible
from packages import ROOT
from test_start import DEPLOY, Example, answers, image, pod_of, up

from certificates import tls_directory
from waiting import until

pytestmark = pytest.mark.skipif(
    not possible(), reason="only root can build boxes: unshare --mount --pid"
)

NATS_SERVER = pathlib.Path(sys.executable).with_name("nats-server")


@dataclasses.dataclass
class Queue:
    """The parts of a file. Each worker gets a port of its own, because all share one network."""

    gateway: Example
    workers: list[Example]
    broker: list[str]  # its arguments
    environment: dict[str, str]  # of the broker
    name: str  # of the model


def hardened(spec, service):
    spec.read_only, spec.tmpfs = service["read_only"], list(service["tmpfs"])
    spec.no_capabilities = service["cap_drop"] == ["ALL"]
    spec.no_new_privileges = "no-new-privileges:true" in service["security_opt"]
    spec.env["LOG_FORMAT"] = service["environment"]["LOG_FORMAT"]
    return spec


def ready(port):
    return lambda box: box.ask("GET", "/readyz", port=port)[0] == 200


def compose(tmp_path, tls) -> Queue:
    [whole] = yaml.safe_load_all((DEPLOY / "compose/queue.yaml").read_text())
    services = whole["services"]
    [volume] = services["broker"]["volumes"]
    data = volume.partition(":")[2]
    (tmp_path / "data").mkdir()
    parts = []
    for name, count in (("gateway", 1), ("worker", services["worker"]["deploy"]["replicas"])):
        command = [w.replace("//broker:", "//127.0.0.1:") for w in services[name]["command"]]
        seconds = float(services[name]["stop_grace_period"].rstrip("s"))
        for n in range(count):
            spec = hardened(image(command), services[name])
            port = 5000 if name == "gateway" else 5001 + n
            spec.env["PORT"] = str(port)
            parts.append(Example(spec, seconds, ready(port), keeps=""))
    arguments = [w.replace(data, str(tmp_path / "data")) for w in services["broker"]["command"]]
    name = services["worker"]["command"][services["worker"]["command"].index("--name") + 1]
    return Queue(parts[0], parts[1:], arguments, {}, name)


def of_pod(document, tls, port) -> Example:
    """A container of a Deployment, with the certificate that its volume has."""
    pod = document["spec"]["template"]["spec"]
    [container] = pod["containers"]
    spec, _ = pod_of(container, port)
    spec.env["NATS_PASSWORD"] = "acme-secret"
    spec.env["COGGO_QUEUE"] = (
        spec.env["COGGO_QUEUE"]
        .replace("$(NATS_PASSWORD)", spec.env["NATS_PASSWORD"])
        .replace("@nats:", "@127.0.0.1:")
    )
    spec.env["PORT"] = str(port)
    assert "--queue-replicas=3" in spec.command
    spec.command[spec.command.index("--queue-replicas=3")] = "--queue-replicas=1"  # one node here
    spec.uid = spec.gid = pod["securityContext"]["runAsUser"]
    spec.groups = [pod["securityContext"]["fsGroup"]]
    spec.read_only = container["securityContext"]["readOnlyRootFilesystem"]
    spec.no_capabilities = container["securityContext"]["capabilities"]["drop"] == ["ALL"]
    spec.no_new_privileges = not container["securityContext"]["allowPrivilegeEscalation"]
    mounts = {m["name"]: m["mountPath"] for m in container["volumeMounts"]}
    spec.volumes[mounts["nats"]] = str(tls)
    spec.tmpfs.append(mounts["tmp"])
    before = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    return Example(spec, pod["terminationGracePeriodSeconds"] - before, ready(port), keeps="")


def kubernetes(tmp_path, tls) -> Queue:
    """The broker is one node with the file of a cluster, because a cluster needs three."""
    documents = [
        document
        for name in ("queue-broker", "queue")
        for document in yaml.safe_load_all((DEPLOY / f"kubernetes/{name}.yaml").read_text())
    ]
    by_name = {(d["kind"], d["metadata"]["name"]): d for d in documents}
    broker = by_name["StatefulSet", "nats"]["spec"]["template"]["spec"]["containers"][0]
    conf = by_name["ConfigMap", "nats"]["data"]["cluster.conf"]
    conf = re.sub(r"(?ms)^cluster \{.*?^\}\n", "", conf)
    (tmp_path / "data").mkdir()
    places = {"/etc/nats/tls": str(tls), "/data": str(tmp_path / "data")}
    for place, here in places.items():
        assert place in {mount["mountPath"] for mount in broker["volumeMounts"]}
        conf = conf.replace(place, here)
    (tmp_path / "cluster.conf").write_text(conf)
    arguments = [a.replace("/etc/nats/conf", str(tmp_path)) for a in broker["args"]]
    environment = {e["name"]: e.get("value", "nats-0") for e in broker["env"]}
    environment |= {f"COGGO_{u.upper()}_PASSWORD": f"{u}-secret" for u in ("acme", "other", "sys")}
    gateway = of_pod(by_name["Deployment", "coggo-gateway"], tls, 5000)
    worker = of_pod(by_name["Deployment", "coggo-worker"], tls, 5001)
    [keda] = yaml.safe_load_all((DEPLOY / "kubernetes/queue-keda.yaml").read_text())
    url = urllib.parse.urlsplit(keda["spec"]["triggers"][0]["metadata"]["url"])
    name = urllib.parse.parse_qs(url.query)["name"][0]
    probes = [broker[kind]["exec"]["command"] for kind in broker if kind.endswith("Probe")]
    (tmp_path / "probes.json").write_text(json.dumps(probes))
    return Queue(gateway, [worker], arguments, environment, name)


@pytest.fixture
def tls(tmp_path):
    return tls_directory(tmp_path / "tls")


def start_broker(box: Box, queue: Queue, log: pathlib.Path) -> subprocess.Popen[bytes]:
    """Start the broker in the network of a box."""
    until("the box is there", box.pid)
    enter = ["nsenter", f"--target={box.pid()}", "--net", "--", str(NATS_SERVER), *queue.broker]
    with log.open("a") as out:
        return subprocess.Popen(
            enter, env={**os.environ, **queue.environment}, stdout=out, stderr=out
        )


def backlog(box: Box, name: str) -> int:
    """What KEDA reads."""
    status, body = box.ask("GET", f"/queue?name={name}")
    return int(json.loads(body)["backlog"]) if status == 200 else -1


@pytest.mark.parametrize("read", [compose, kubernetes], ids=lambda read: read.__name__)
def test_each_example_of_a_queue_starts_as_its_file_says(read, environment, layers, tmp_path, tls):
    queue = read(tmp_path, tls)
    for example in (queue.gateway, *queue.workers):
        example.spec.environment, example.spec.layer = environment, layers.new()
    gateway = Box(queue.gateway.spec, tmp_path / "gateway.log")
    boxes, brokers = [gateway], []
    try:
        until("the gateway is alive", lambda: alive(gateway), 60)
        assert gateway.ask("GET", "/readyz")[0] == 503, "without the broker it is not ready"
        brokers.append(start_broker(gateway, queue, tmp_path / "broker.log"))
        workers = []
        for n, example in enumerate(queue.workers):
            example.spec.network = gateway.pid()
            boxes.append(Box(example.spec, tmp_path / f"worker{n}.log"))
            workers.append(up(boxes[-1], example))
        up(gateway, queue.gateway)
        assert answers(gateway, "it")["output"] == "hello world"
        assert backlog(gateway, queue.name) == 0
        for probe in probes(tmp_path):
            assert gateway.run(*probe).returncode == 0, probe

        for worker, example in zip(workers, queue.workers):  # KEDA scales to zero
            worker.signal(signal.SIGTERM)
            assert worker.wait(example.seconds) == 0, worker.log()
        asked = {"input": {"name": "world"}}
        status, _ = gateway.ask("PUT", "/predictions/waits", asked, Prefer="respond-async")
        assert status == 202
        until("it waits", lambda: backlog(gateway, queue.name) == 1)
        again = queue.workers[0]
        again.spec.layer = layers.new()
        boxes.append(Box(again.spec, tmp_path / "again.log"))
        up(boxes[-1], again)

        def ended():
            found = json.loads(gateway.ask("GET", "/predictions/waits")[1])
            return found["status"] == "succeeded"

        until("it has run", ended)
        gateway.signal(signal.SIGTERM)
        assert gateway.wait(queue.gateway.seconds) == 0, gateway.log()
    finally:
        for box in boxes[::-1]:
            box.close()
        for broker in brokers:
            broker.terminate()
            broker.wait(20)


def probes(tmp_path):
    """Those of the broker's container."""
    written = tmp_path / "probes.json"
    return json.loads(written.read_text()) if written.exists() else []


def alive(box: Box) -> bool:
    try:
        return bool(box.ask("GET", "/livez")[0] == 200)
    except OSError:
        return False


def test_the_files_are_the_only_ones():
    """Every file about a queue is started here."""
    files = {p.name for p in (ROOT / "deploy").rglob("queue*.yaml")}
    assert files == {"queue.yaml", "queue-broker.yaml", "queue-keda.yaml"}
