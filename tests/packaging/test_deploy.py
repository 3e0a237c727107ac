"""What is in deploy/ against the schemas of those who read it, and against the server that it starts."""

from __future__ import annotations

import json
import pathlib
import re
import shutil
import subprocess
import sys

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


def named(kind):
    [found] = [d for d in KUBERNETES if d["kind"] == kind]
    return found


@pytest.mark.parametrize("document", KUBERNETES, ids=lambda d: d["kind"])
@pytest.mark.parametrize("version", ["1.32", "1.37"])
def test_kubernetes_takes_it(document, version):
    kubernetes_validate.validate(document, version, strict=True)


def test_the_validator_would_notice():
    wrong = json.loads(json.dumps(named("Deployment")))
    wrong["spec"]["template"]["spec"]["containers"][0]["livenessProbes"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, "1.37", strict=True)


def test_the_pod_drains_in_time():
    pod = named("Deployment")["spec"]["template"]["spec"]
    [container] = pod["containers"]
    before = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    [grace] = [a for a in container["args"] if a.startswith("--runner-shutdown-grace-period=")]
    assert before + int(re.search(r"\d+", grace).group()) + 20 <= pod["terminationGracePeriodSeconds"]


def test_the_probes_ask_for_what_the_server_answers():
    [container] = named("Deployment")["spec"]["template"]["spec"]["containers"]
    paths = {
        probe: container[probe]["httpGet"]["path"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")
    }
    assert paths == {"startupProbe": "/readyz", "readinessProbe": "/readyz", "livenessProbe": "/livez"}
    knative = KNATIVE["spec"]["template"]["spec"]["containers"][0]
    assert (knative["readinessProbe"]["httpGet"]["path"], knative["livenessProbe"]["httpGet"]["path"]) == (
        "/readyz",
        "/livez",
    )


def test_the_selectors_meet():
    labels = named("Deployment")["spec"]["template"]["metadata"]["labels"].items()
    assert named("Service")["spec"]["selector"].items() <= labels
    assert named("PodDisruptionBudget")["spec"]["selector"]["matchLabels"].items() <= labels
    name = named("Deployment")["metadata"]["name"]
    assert (
        named("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]["name"]
        == KEDA["spec"]["scaleTargetRef"]["name"]
        == name
    )


def test_both_autoscalers_look_at_a_metric_that_there_is():
    metric = named("HorizontalPodAutoscaler")["spec"]["metrics"][0]["pods"]["metric"]["name"]
    wiring = (ROOT / "cmd/coggo-server/wiring.go").read_text()
    assert f'"{metric}"' in wiring and metric in KEDA["spec"]["triggers"][0]["metadata"]["query"]


def test_the_pod_of_knative_is_one():
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


def test_knative_sends_as_many_as_the_model_takes():
    done = subprocess.run([SERVER, "check", ROOT / "examples/hello"], capture_output=True, text=True, timeout=60)
    assert f"runs      {KNATIVE['spec']['template']['spec']['containerConcurrency']} at a time" in done.stdout


def test_compose_takes_it():
    check = pathlib.Path(sys.executable).with_name("check-jsonschema")
    schema = ["--builtin-schema", "vendor.compose-spec", DEPLOY / "compose/compose.yaml"]
    done = subprocess.run([check, *schema], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout


def test_systemd_takes_it(tmp_path):
    if not (verify := shutil.which("systemd-analyze")):
        return  # macOS, and containers without it: the other platforms look at it
    for name in ("bin", "model"):
        (tmp_path / name).mkdir()
    (tmp_path / "bin/coggo-server").symlink_to(SERVER)
    text = (DEPLOY / "systemd/coggo.service").read_text()
    unit = tmp_path / "coggo.service"
    unit.write_text(text.replace("/opt/coggo", str(tmp_path)))
    done = subprocess.run([verify, "verify", "--man=no", unit], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def flags_of(words):
    return {w.partition("=")[0] for w in words if str(w).startswith("--")}


def test_every_flag_that_is_used_exists():
    known = subprocess.run([SERVER, "--help"], capture_output=True, text=True, timeout=20).stdout
    [compose] = documents("compose/compose.yaml")
    unit = re.search(r"ExecStart=(.*)", (DEPLOY / "systemd/coggo.service").read_text()).group(1).split()
    used = flags_of(named("Deployment")["spec"]["template"]["spec"]["containers"][0]["args"])
    used |= flags_of(compose["services"]["model"]["command"]) | flags_of(unit)
    assert len(used) >= 3 and all(flag in known for flag in used)
