"""Each example of deploy/ starts, works, finds its work again after a crash, and ends in time.

A box takes the place of the machine and of the base image. The tests read everything else from the
file: user, groups, capabilities, read-only root, mounts, environment, arguments, probes and the
time to end.

- Docker and Compose: a new volume takes owner and mode from the image, as Docker does it.
- Kubernetes: an emptyDir belongs to root and to the group of fsGroup, has mode 2777 and outlives a
  container; probes come from the pod's network.
- systemd: a manager inside the box runs the unit itself, so nothing of that is emulated.

Boxes lack the seccomp profile of a container engine and limits of memory and processors.
"""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import time
from typing import Any

import pytest
import yaml
from box import Box, Spec, possible
from dockerfile import STAGES, TEXT, instruction
from packages import ROOT

from model_sources import model_source
from waiting import until

pytestmark = pytest.mark.skipif(
    not possible(), reason="only root can build boxes: unshare --mount --pid"
)

DEPLOY = ROOT / "deploy"


@dataclasses.dataclass
class Example:
    """One container of a file of deploy/."""

    spec: Spec
    seconds: float  # from SIGTERM to SIGKILL
    healthy: Any  # probes a box as the file says
    keeps: str  # which parts outlive a crash: the container itself, its volumes, or nothing


def image(command: list[str] | None = None) -> Spec:
    """The settings of the Dockerfile; the machine takes the place of the base image."""
    stage = STAGES[-1]
    copies = {}
    for source, target in re.findall(
        r"^COPY (examples/\S+) (\S+)$", "\n".join(stage), re.MULTILINE
    ):
        copies[str(ROOT / source)] = target
    steps = [step.strip() for step in instruction("RUN").split("&&")]
    env = dict(pair.split("=", 1) for pair in shlex.split(instruction("ENV")))
    uid = int(instruction("USER"))
    arguments = json.loads(instruction("CMD")) if command is None else command
    return Spec(
        command=[*json.loads(instruction("ENTRYPOINT")), *arguments],
        env={"PATH": "/opt/coggo/bin:/usr/local/bin:/usr/bin:/bin", "HOME": "/", **env},
        uid=uid,
        gid=uid,
        workdir=instruction("WORKDIR"),
        prepare=[step for step in steps if "/tmp/steps" not in step],
        copies=copies,
    )


def healthcheck(box: Box) -> bool:
    [probe] = re.findall(r"CMD (\[.*\])", instruction("HEALTHCHECK"))
    [seconds] = re.findall(r"--timeout=(\d+)s", instruction("HEALTHCHECK"))
    return box.run(*json.loads(probe), user=True, timeout=float(seconds)).returncode == 0


def docker(tmp_path) -> Example:
    [seconds] = re.findall(r"docker stop --time (\d+)", TEXT)
    return Example(image(), float(seconds), healthcheck, keeps="container")


def compose(tmp_path) -> Example:
    [whole] = yaml.safe_load_all((DEPLOY / "compose/compose.yaml").read_text())
    [service] = whole["services"].values()
    spec = image(service["command"])
    for name, value in service["environment"].items():
        spec.env[name] = re.sub(r"\$\{\w+:-(.*?)\}", r"\1", value)
    for volume in service["volumes"]:
        name, _, target = volume.partition(":")
        assert name in whole["volumes"]
        spec.volumes[target] = str(tmp_path / name)
        (tmp_path / name).mkdir()  # owned by root, as Docker makes it
    spec.volumes_like_image = True
    spec.tmpfs = list(service["tmpfs"])
    spec.read_only = service["read_only"]
    spec.no_capabilities = service["cap_drop"] == ["ALL"]
    spec.no_new_privileges = "no-new-privileges:true" in service["security_opt"]
    assert all(port.endswith(":5000") for port in service["ports"])
    return Example(
        spec, float(service["stop_grace_period"].rstrip("s")), healthcheck, keeps="volumes"
    )


def pod_of(container: dict[str, Any], port: int) -> tuple[Spec, Any]:
    """A container of a pod, with the probes of kubelet."""
    spec = image(container.get("args"))
    spec.command = [*container.get("command", spec.command[:1]), *spec.command[1:]]
    spec.env |= {entry["name"]: entry["value"] for entry in container["env"] if "value" in entry}
    spec.env["KUBERNETES_SERVICE_HOST"] = "10.96.0.1"

    def healthy(box: Box) -> bool:
        probes = [container[name] for name in container if name.endswith("Probe")]
        assert probes
        asked = [(probe["httpGet"]["path"], probe.get("timeoutSeconds", 1)) for probe in probes]
        return all(
            box.ask("GET", path, port=port, timeout=seconds)[0] == 200 for path, seconds in asked
        )

    return spec, healthy


def kubernetes(tmp_path) -> Example:
    [deployment] = [
        document
        for document in yaml.safe_load_all((DEPLOY / "kubernetes/coggo.yaml").read_text())
        if document["kind"] == "Deployment"
    ]
    pod = deployment["spec"]["template"]["spec"]
    [container] = pod["containers"]
    [port] = container["ports"]
    spec, healthy = pod_of(container, port["containerPort"])
    security, of_container = pod["securityContext"], container["securityContext"]
    spec.uid = spec.gid = security["runAsUser"]  # the group of the user in the image
    assert security["runAsNonRoot"] and spec.uid
    spec.gid = security.get("runAsGroup", spec.gid)
    spec.groups = [security["fsGroup"]]
    spec.read_only = of_container["readOnlyRootFilesystem"]
    spec.no_capabilities = of_container["capabilities"]["drop"] == ["ALL"]
    spec.no_new_privileges = not of_container["allowPrivilegeEscalation"]
    for mount in container["volumeMounts"]:
        [volume] = [v for v in pod["volumes"] if v["name"] == mount["name"]]
        assert "emptyDir" in volume
        made = tmp_path / mount["name"]
        made.mkdir()
        os.chown(made, 0, security["fsGroup"])
        made.chmod(0o2777)
        spec.volumes[mount["mountPath"]] = str(made)
    before = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    return Example(spec, pod["terminationGracePeriodSeconds"] - before, healthy, keeps="volumes")


def knative(tmp_path) -> Example:
    [service] = yaml.safe_load_all((DEPLOY / "knative/service.yaml").read_text())
    pod = service["spec"]["template"]["spec"]
    [container] = pod["containers"]
    [port] = container["ports"]
    spec, healthy = pod_of(container, port["containerPort"])
    spec.env["PORT"] = str(port["containerPort"])
    return Example(spec, pod["timeoutSeconds"], healthy, keeps="")


def answers(box: Box, id: str) -> Any:
    """Start a detached prediction, and return it once it has ended."""
    prefer = {"Prefer": "respond-async"}
    status, _ = box.ask("PUT", f"/predictions/{id}", {"input": {"name": "world"}}, **prefer)
    assert status == 202

    def ended() -> Any:
        found = json.loads(box.ask("GET", f"/predictions/{id}")[1])
        return found if found["status"] in ("succeeded", "failed") else None

    return until("it has ended", ended)


def up(box: Box, example: Example) -> Box:
    def healthy() -> bool:
        assert not box.ended(), box.log()
        try:
            return bool(example.healthy(box))
        except OSError:
            return False

    try:
        until("it is healthy", healthy, 60)
    except AssertionError as late:
        raise AssertionError(f"{late}: {box.log()}") from None
    return box


@pytest.mark.parametrize(
    "read", [docker, compose, kubernetes, knative], ids=lambda read: read.__name__
)
def test_each_example_starts_as_its_file_says(read, environment, layers, tmp_path):
    example = read(tmp_path)
    spec = example.spec
    spec.environment, spec.layer = environment, layers.new()
    boxes = [Box(spec, tmp_path / "log")]
    try:
        box = up(boxes[0], example)
        state = box.status()
        assert (
            state["Uid"].split() == [str(spec.uid)] * 4
            and state["Gid"].split() == [str(spec.gid)] * 4
        )
        assert state["Groups"].split() == [str(group) for group in spec.groups]
        assert (state["CapBnd"] == "0" * 16, state["NoNewPrivs"] == "1") == (
            spec.no_capabilities,
            spec.no_new_privileges,
        )
        assert (box.run("touch", "/etc/x").returncode != 0) == spec.read_only
        assert answers(box, "it")["output"] == "hello world"

        box.signal(signal.SIGKILL)
        box.wait(20)
        if example.keeps != "container":
            spec = dataclasses.replace(spec, layer=layers.new())
        boxes.append(Box(spec, tmp_path / "log2"))
        box = up(boxes[1], example)
        status, body = box.ask("GET", "/predictions/it")
        assert (status, json.loads(body).get("output")) == (
            (200, "hello world") if example.keeps else (404, None)
        )
        assert answers(box, "next")["output"] == "hello world"

        box.signal(signal.SIGTERM)
        assert box.wait(example.seconds) == 0, box.log()
    finally:
        for box in boxes:
            box.close()


UNIT = DEPLOY / "systemd/coggo.service"

#: Units of a real machine that the unit refers to. In the box there is no network and no journal.
AROUND = """
[Unit]
DefaultDependencies=no
[Service]
StandardOutput=append:/coggo.log
StandardError=append:/coggo.log
"""

#: Uses everything that models need of the system, as PyTorch and Triton do, and returns the
#: failures.
NEEDS = model_source("packaging/start_needs")


def value_of(key: str) -> str:
    [value] = re.findall(rf"^{key}=(.*)$", UNIT.read_text(), re.MULTILINE)
    return str(value)


def test_systemd_starts_the_unit(environment, layers, tmp_path):
    """A manager in the box runs the unit unchanged, with a model that needs the same as real
    ones.
    """
    if not (manager := shutil.which("systemd", path="/lib/systemd:/usr/lib/systemd")):
        pytest.skip("systemd is missing: Debian has it in the package of that name")
    units = tmp_path / "units"
    (units / "coggo.service.d").mkdir(parents=True)
    shutil.copy(UNIT, units)
    (units / "coggo.service.d/around.conf").write_text(AROUND)
    (units / "network-online.target").symlink_to("/dev/null")
    model = tmp_path / "model"
    model.mkdir()
    (model / "cog.yaml").write_text("predict: predict.py:Predictor\n")
    (model / "predict.py").write_text(NEEDS)
    directory, model_at = value_of("ExecStart").split()[2], value_of("ExecStart").split()[3]
    assert directory == "%S/" + value_of("StateDirectory")
    spec = Spec(
        command=[manager, "--system", "--unit=coggo.service"],
        env={"container": "other", "PATH": "/usr/bin:/bin"},
        volumes={"/etc/systemd/system": str(units)},
        copies={str(model): model_at},
        manager=True,
        environment=environment,
        layer=layers.new(),
    )
    box = Box(spec, tmp_path / "log")
    example = Example(
        spec,
        float(value_of("TimeoutStopSec")),
        lambda box: box.ask("GET", "/readyz")[0] == 200,
        "state",
    )
    log = pathlib.Path(spec.layer, "upper/coggo.log")

    def main_pid() -> str:
        return box.run("systemctl", "show", "--property=MainPID", "--value", "coggo").stdout.strip()

    try:
        up(box, example)
        first, state = main_pid(), box.status(main_pid())
        assert (
            state["Uid"].split()[0] != "0"
            and state["CapBnd"] == "0" * 16
            and state["NoNewPrivs"] == "1"
        )
        assert state["Seccomp"] == "2"
        assert answers(box, "it")["output"] == "hello world", log.read_text()

        assert (
            box.run("systemctl", "kill", "--kill-who=main", "--signal=KILL", "coggo").returncode
            == 0
        )
        until("it runs again", lambda: main_pid() not in ("0", first), 30)
        up(box, example)
        status, body = box.ask("GET", "/predictions/it")
        assert (status, json.loads(body)["output"]) == (200, "hello world")

        begun = time.monotonic()
        done = box.run("systemctl", "stop", "coggo", timeout=example.seconds + 10)
        assert done.returncode == 0 and time.monotonic() - begun < example.seconds, done.stderr
        result = box.run(
            "systemctl", "show", "--property=Result,ExecMainStatus", "coggo"
        ).stdout.split()
        assert sorted(result) == ["ExecMainStatus=0", "Result=success"], log.read_text()
    finally:
        box.close()
