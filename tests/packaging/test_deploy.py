"""The files of deploy/ match the schemas of the programs that read them, and the server that they
start.
"""

from __future__ import annotations

import configparser
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import jsonschema
import kubernetes_validate
import pytest
import yaml
from packages import ROOT

DEPLOY = ROOT / "deploy"
SERVER = ROOT / "bin/coggo-server"


def documents(path):
    return list(yaml.safe_load_all((DEPLOY / path).read_text()))


KUBERNETES = [*documents("kubernetes/coggo.yaml"), *documents("kubernetes/hpa.yaml")]
[KEDA] = documents("kubernetes/keda.yaml")
[KNATIVE] = documents("knative/service.yaml")

#: The same for servers on a queue.
QUEUE = [*documents("kubernetes/queue-broker.yaml"), *documents("kubernetes/queue.yaml")]
[QUEUE_KEDA] = documents("kubernetes/queue-keda.yaml")


def named(kind):
    [found] = [d for d in KUBERNETES if d["kind"] == kind]
    return found


def of_queue(kind, name):
    [found] = [d for d in QUEUE if d["kind"] == kind and d["metadata"]["name"] == name]
    return found


def pod(document):
    return document["spec"]["template"]["spec"]


@pytest.mark.parametrize(
    "document", [*KUBERNETES, *QUEUE], ids=lambda d: f"{d['kind']}-{d['metadata']['name']}"
)
@pytest.mark.parametrize("version", ["1.32", "1.37"])
def test_kubernetes_manifests_are_valid(document, version):
    kubernetes_validate.validate(document, version, strict=True)


def test_the_validator_refuses_a_broken_manifest():
    wrong = json.loads(json.dumps(named("Deployment")))
    wrong["spec"]["template"]["spec"]["containers"][0]["livenessProbes"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, "1.37", strict=True)


#: Seconds that a deployment gives a server in addition to its grace period: docs/operating.md.
REST = 10


def default_grace():
    """The default grace period of the server."""
    help = subprocess.run([SERVER, "--help"], capture_output=True, text=True, timeout=20).stdout
    [grace] = re.findall(r"--runner-shutdown-grace-period=(\d+)s", help)
    return int(grace)


def seconds(pattern, path):
    """A number at one place of a file."""
    [found] = re.findall(pattern, re.sub(r"\s*\n#?\s*", " ", (ROOT / path).read_text()))
    return int(found)


def test_deployments_give_a_server_the_time_its_shutdown_takes():
    """All files, comments and pages agree with the default."""
    given = default_grace() + REST
    assert seconds(r"docker stop --time (\d+)\.", "deploy/docker/Dockerfile") == given
    [compose] = documents("compose/compose.yaml")
    assert compose["services"]["model"]["stop_grace_period"] == f"{given}s"
    assert unit_settings()["Service"]["TimeoutStopSec"] == str(given)
    pod = named("Deployment")["spec"]["template"]["spec"]
    [container] = pod["containers"]
    [grace] = [a for a in container["args"] if a.startswith("--runner-shutdown-grace-period=")]
    assert grace.endswith(f"={default_grace()}s")
    before = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod["terminationGracePeriodSeconds"] == before + given
    # Knative gives a pod timeoutSeconds to end.
    assert KNATIVE["spec"]["template"]["spec"]["timeoutSeconds"] >= given
    page = "docs/operating.md"
    assert seconds(r"`--runner-shutdown-grace-period` \((\d+) s\)", page) == default_grace()
    assert seconds(r"the grace period and (\d+) s more", page) == REST
    assert seconds(r"With the default that is (\d+) s, which", page) == given
    for path in (
        "deploy/docker/Dockerfile",
        "deploy/compose/compose.yaml",
        "deploy/systemd/coggo.service",
    ):
        assert seconds(r"--runner-shutdown-grace-period and (\d+) s", path) == REST
    for path in ("deploy/kubernetes/coggo.yaml", "deploy/knative/service.yaml"):
        assert seconds(r"--runner-shutdown-grace-period (?:\+|and) (\d+) s", path) == REST


def test_the_probes_use_paths_that_the_server_answers():
    [container] = named("Deployment")["spec"]["template"]["spec"]["containers"]
    paths = {
        probe: container[probe]["httpGet"]["path"]
        for probe in ("startupProbe", "readinessProbe", "livenessProbe")
    }
    assert paths == {
        "startupProbe": "/readyz",
        "readinessProbe": "/readyz",
        "livenessProbe": "/livez",
    }
    knative = KNATIVE["spec"]["template"]["spec"]["containers"][0]
    assert (
        knative["readinessProbe"]["httpGet"]["path"],
        knative["livenessProbe"]["httpGet"]["path"],
    ) == (
        "/readyz",
        "/livez",
    )


def test_selectors_match_their_pods_and_deployments():
    labels = named("Deployment")["spec"]["template"]["metadata"]["labels"].items()
    assert named("Service")["spec"]["selector"].items() <= labels
    assert named("PodDisruptionBudget")["spec"]["selector"]["matchLabels"].items() <= labels
    name = named("Deployment")["metadata"]["name"]
    assert (
        named("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]["name"]
        == KEDA["spec"]["scaleTargetRef"]["name"]
        == name
    )


def test_both_autoscalers_use_a_metric_that_exists():
    metric = named("HorizontalPodAutoscaler")["spec"]["metrics"][0]["pods"]["metric"]["name"]
    wiring = (ROOT / "cmd/coggo-server/wiring.go").read_text()
    assert f'"{metric}"' in wiring and metric in KEDA["spec"]["triggers"][0]["metadata"]["query"]


#: Where KEDA and Knative publish the schemas of their resources: with their sources.
PUBLISHED = {
    "ScaledObject": (
        "github.com/kedacore/keda/v2@v2.21.0",
        "config/crd/bases/keda.sh_scaledobjects.yaml",
    ),
    "Service": ("knative.dev/serving@v0.51.0", "config/core/300-resources/service.yaml"),
}


@pytest.fixture(scope="module")
def schemas(tmp_path_factory):
    """The published schemas, by kind; as strict as the API server with fieldValidation=Strict,
    which refuses unknown fields.
    """
    found = {}
    for kind, (module, path) in PUBLISHED.items():
        fetch = [os.environ.get("GO", "go"), "mod", "download", "-json", module]
        done = subprocess.run(
            fetch, cwd=tmp_path_factory.mktemp("go"), capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stdout + done.stderr
        definition = yaml.safe_load(
            (pathlib.Path(json.loads(done.stdout)["Dir"]) / path).read_text()
        )
        assert (
            definition["kind"] == "CustomResourceDefinition"
            and definition["spec"]["names"]["kind"] == kind
        )
        for version in definition["spec"]["versions"]:
            name = f"{definition['spec']['group']}/{version['name']}"
            found[name, kind] = closed(version["schema"]["openAPIV3Schema"])
    return found


def closed(schema):
    """The schema with objects that take no other fields than those it names."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: closed(value) for key, value in schema.items()}
    if isinstance(made.get("properties"), dict) and not made.get(
        "x-kubernetes-preserve-unknown-fields"
    ):
        made.setdefault("additionalProperties", False)
    return made


@pytest.mark.parametrize(
    "document", [KEDA, QUEUE_KEDA, KNATIVE], ids=lambda d: f"{d['kind']}-{d['metadata']['name']}"
)
def test_resources_match_their_published_schemas(document, schemas):
    schema = schemas[document["apiVersion"], document["kind"]]
    jsonschema.validate(document, schema)
    for path in (["spec", "unknown"], ["spec", next(iter(document["spec"])), "unknown"]):
        wrong = json.loads(json.dumps(document))
        place = wrong
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = 1
        with pytest.raises(jsonschema.ValidationError, match="unknown"):
            jsonschema.validate(wrong, schema)


def test_the_pod_template_of_knative_is_a_valid_pod():
    """Knative's own schema leaves out most of that of a pod, so the template is also checked
    against the one of Kubernetes.
    """
    assert KNATIVE["apiVersion"] == "serving.knative.dev/v1"
    spec = {**KNATIVE["spec"]["template"]["spec"]}
    assert spec.pop("timeoutSeconds") >= 600
    spec.pop("containerConcurrency")
    for container in spec["containers"]:
        container.setdefault("name", "model")
        for probe in ("readinessProbe", "livenessProbe"):
            container[probe]["httpGet"].setdefault("port", 5000)  # Knative fills it in
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": spec}
    kubernetes_validate.validate(pod, "1.37", strict=True)


def test_knative_targets_the_concurrency_of_the_model_without_a_hard_limit():
    annotations, spec = (KNATIVE["spec"]["template"][part] for part in ("metadata", "spec"))
    annotations = {
        name.rpartition("/")[2]: value for name, value in annotations["annotations"].items()
    }
    done = subprocess.run(
        [SERVER, "check", ROOT / "examples/hello"], capture_output=True, text=True, timeout=60
    )
    assert annotations["metric"] == "concurrency"
    assert f"runs      {annotations['target']} at a time" in done.stdout
    assert spec["containerConcurrency"] == 0, "with a limit, cancels and polls wait behind the run"
    assert any(flag.startswith("--max-queue=") for flag in spec["containers"][0]["args"])
    assert {"scale-to-zero-pod-retention-period", "scale-down-delay"} <= set(annotations)


@pytest.mark.parametrize(
    "path", ["kubernetes/coggo", "kubernetes/hpa", "kubernetes/keda", "knative/service"]
)
def test_files_that_scale_name_the_page_about_several_servers(path):
    said = re.sub(r"\s*\n\s*#\s*", " ", (DEPLOY / f"{path}.yaml").read_text())
    assert (
        'Each server knows only its own predictions: docs/operating.md, "Several servers".' in said
    )


def test_the_parts_of_a_queue_fit_together():
    for kind, name in (
        ("Deployment", "coggo-gateway"),
        ("Deployment", "coggo-worker"),
        ("StatefulSet", "nats"),
    ):
        labels = of_queue(kind, name)["spec"]["template"]["metadata"]["labels"].items()
        assert of_queue(kind, name)["spec"]["selector"]["matchLabels"].items() <= labels
        for other in ("Service", "PodDisruptionBudget"):
            if name != "coggo-worker":
                selector = of_queue(other, name)["spec"]["selector"]
                assert selector.get("matchLabels", selector).items() <= labels
    broker = of_queue("StatefulSet", "nats")["spec"]
    assert broker["serviceName"] == of_queue("Service", "nats")["metadata"]["name"]
    [container] = pod(of_queue("StatefulSet", "nats"))["containers"]
    env = {entry["name"]: entry for entry in container["env"]}
    routes = re.findall(r"tls://([\w.-]+):6222", env["NATS_ROUTES"]["value"])
    assert routes == [f"nats-{n}.nats" for n in range(broker["replicas"])]
    conf = of_queue("ConfigMap", "nats")["data"]["cluster.conf"]
    assert conf == (DEPLOY / "nats/cluster.conf").read_text()
    variables = set(re.findall(r"\$(\w+)", re.sub(r"(?m)^#.*", "", conf)))
    assert variables <= set(env)
    for name in ("coggo-gateway", "coggo-worker"):
        [server] = pod(of_queue("Deployment", name))["containers"]
        url = next(e["value"] for e in server["env"] if e["name"] == "COGGO_QUEUE")
        assert url == "tls://acme:$(NATS_PASSWORD)@nats:4222" and "user: acme" in conf
        assert f"--queue-replicas={broker['replicas']}" in server["args"]


def test_the_autoscaler_of_a_queue_asks_the_gateways():
    trigger = QUEUE_KEDA["spec"]["triggers"][0]["metadata"]
    service = of_queue("Service", "coggo-gateway")["metadata"]["name"]
    [worker] = pod(of_queue("Deployment", QUEUE_KEDA["spec"]["scaleTargetRef"]["name"]))[
        "containers"
    ]
    [name] = [arg.partition("=")[2] for arg in worker["args"] if arg.startswith("--name=")]
    assert trigger["url"] == f"http://{service}.default.svc/queue?name={name}"
    body = (ROOT / "internal/httpapi/queue.go").read_text()
    assert f'`json:"{trigger["valueLocation"]}"`' in body


def test_the_parts_of_a_queue_have_the_time_that_their_shutdown_takes():
    given = default_grace() + REST
    worker, gateway = (pod(of_queue("Deployment", f"coggo-{n}")) for n in ("worker", "gateway"))
    assert worker["terminationGracePeriodSeconds"] == given
    before = gateway["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert gateway["terminationGracePeriodSeconds"] == before + given
    for part in (worker, gateway):
        grace = f"--runner-shutdown-grace-period={default_grace()}s"
        assert grace in part["containers"][0]["args"]
    [compose] = documents("compose/queue.yaml")
    for name in ("gateway", "worker"):
        assert compose["services"][name]["stop_grace_period"] == f"{given}s"


@pytest.mark.parametrize("name", ["compose", "queue"])
def test_the_compose_file_is_valid(name):
    check = pathlib.Path(sys.executable).with_name("check-jsonschema")
    schema = ["--builtin-schema", "vendor.compose-spec", DEPLOY / f"compose/{name}.yaml"]
    done = subprocess.run([check, *schema], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout


UNIT = (DEPLOY / "systemd/coggo.service").read_text()

#: The keys of systemd.unit(5), systemd.service(5), systemd.exec(5) and systemd.kill(5) that the
#: unit may use.
UNIT_KEYS = {
    "Unit": {
        "Description",
        "Documentation",
        "After",
        "Wants",
        "Requires",
        "StartLimitIntervalSec",
        "StartLimitBurst",
    },
    "Service": {
        *(
            "Type",
            "ExecStart",
            "Environment",
            "EnvironmentFile",
            "Restart",
            "RestartSec",
            "KillMode",
            "TimeoutStopSec",
        ),
        *(
            "User",
            "Group",
            "DynamicUser",
            "StateDirectory",
            "StateDirectoryMode",
            "CacheDirectory",
            "UMask",
        ),
        *("NoNewPrivileges", "CapabilityBoundingSet", "PrivateTmp", "LockPersonality"),
        *("ProtectSystem", "ProtectHome", "ProtectProc", "ProtectHostname"),
        *("ProtectKernelLogs", "ProtectKernelTunables", "ProtectControlGroups"),
        *("RestrictNamespaces", "RestrictRealtime", "RestrictSUIDSGID", "RestrictAddressFamilies"),
        *("SystemCallArchitectures", "SystemCallFilter", "SystemCallErrorNumber"),
        *("LimitNOFILE", "MemoryMax", "CPUQuota"),
    },
    "Install": {"WantedBy", "Alias"},
}


def unit_settings():
    """The settings of the unit by section and key. Keys keep their case, because systemd ignores a
    key in another case.
    """
    unit = configparser.ConfigParser(
        delimiters="=", comment_prefixes="#", interpolation=None, strict=False
    )
    unit.optionxform = str
    unit.read_string(UNIT)
    return {name: dict(unit[name]) for name in unit.sections()}


def test_the_unit_has_keys_that_systemd_knows():
    settings = unit_settings()
    assert {name: set(keys) - UNIT_KEYS[name] for name, keys in settings.items()} == {
        name: set() for name in UNIT_KEYS
    }


def test_the_unit_uses_its_state_directory():
    service = unit_settings()["Service"]
    assert f"--working-dir %S/{service['StateDirectory']} " in service["ExecStart"]
    assert (service["KillMode"], service["Restart"]) == ("mixed", "on-failure")


@pytest.fixture
def verify(tmp_path):
    """The messages of systemd about the text of a unit."""
    if not (command := shutil.which("systemd-analyze")):
        pytest.skip("systemd-analyze is missing: Debian has it in the package systemd")
    for name in ("bin", "model"):
        (tmp_path / name).mkdir()
    (tmp_path / "bin/coggo-server").symlink_to(SERVER)

    def ask(text):
        unit = tmp_path / "coggo.service"
        unit.write_text(text.replace("/opt/coggo", str(tmp_path)))
        return subprocess.run(
            [command, "verify", "--man=no", unit], capture_output=True, text=True, timeout=60
        )

    return ask


def test_systemd_accepts_the_unit(verify):
    done = verify(UNIT)
    assert (done.returncode, done.stderr) == (0, "")


def test_systemd_reports_a_broken_unit(verify):
    assert "'KillModes'" in verify(UNIT.replace("KillMode=", "KillModes=")).stderr
    assert "is not executable" in verify(UNIT.replace("bin/coggo-server", "bin/coggo")).stderr


#: Settings that would keep models from their GPU or from compiling at run time, as the unit
#: explains.
HARMFUL = {
    "PrivateDevices",
    "DevicePolicy",
    "DeviceAllow",
    "ProtectClock",
    "MemoryDenyWriteExecute",
    "ProcSubset",
}


def test_the_unit_allows_gpus_and_exposes_little_else(tmp_path):
    assert not (HARMFUL | {"PrivateUsers"}) & set(unit_settings()["Service"])
    if not (command := shutil.which("systemd-analyze")):
        pytest.skip("systemd-analyze is missing: Debian has it in the package systemd")

    def exposure(text):
        (tmp_path / "coggo.service").write_text(text)
        line = [command, "security", "--offline=true", "--no-pager", tmp_path / "coggo.service"]
        done = subprocess.run(line, capture_output=True, text=True, timeout=60)
        return float(re.search(r"exposure level for coggo.service: ([\d.]+)", done.stdout)[1])

    assert exposure(UNIT) < 4
    assert exposure(re.sub(r"(?m)^(CapabilityBoundingSet|SystemCallFilter)=.*$", "", UNIT)) > 4


def flags_of(words):
    return {w.partition("=")[0] for w in words if str(w).startswith("--")}


def test_every_flag_that_is_used_exists():
    known = subprocess.run([SERVER, "--help"], capture_output=True, text=True, timeout=20).stdout
    [compose] = documents("compose/compose.yaml")
    unit = (
        re.search(r"ExecStart=(.*)", (DEPLOY / "systemd/coggo.service").read_text())
        .group(1)
        .split()
    )
    used = flags_of(named("Deployment")["spec"]["template"]["spec"]["containers"][0]["args"])
    used |= flags_of(compose["services"]["model"]["command"]) | flags_of(unit)
    used |= flags_of(KNATIVE["spec"]["template"]["spec"]["containers"][0]["args"])
    [queue] = documents("compose/queue.yaml")
    for container in (
        *pod(of_queue("Deployment", "coggo-gateway"))["containers"],
        *pod(of_queue("Deployment", "coggo-worker"))["containers"],
    ):
        used |= flags_of(container["args"])
    for name in ("gateway", "worker"):
        used |= flags_of(queue["services"][name]["command"])
    assert len(used) >= 3 and all(flag in known for flag in used)
