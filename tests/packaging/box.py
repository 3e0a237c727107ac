"""A box in which a file of deploy/ starts a server: it has its own root directory, mounts,
processes and network, like a machine.

The root directory is that of the machine, with a layer above it for everything that is written.
Directories that are empty in an image are empty, and those that only its Dockerfile makes are
missing. Run as a script, this file builds the box from inside and then becomes the command: see
``inside``.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import ctypes
import dataclasses
import http.client
import json
import os
import pathlib
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
from typing import Any, Callable

EMPTY, MISSING = ("tmp", "run", "home"), ("work", "model")

#: The place of the installed wheel: the unit of systemd needs it there, and an image may have it
#: there.
ENVIRONMENT = "/opt/coggo"


@dataclasses.dataclass
class Spec:
    """The settings of a file of deploy/ about the place where it starts a server."""

    command: list[str]
    env: dict[str, str] = dataclasses.field(default_factory=dict)
    uid: int = 0
    gid: int = 0
    groups: list[int] = dataclasses.field(default_factory=list)
    #: Directories of the machine by their place in the box.
    volumes: dict[str, str] = dataclasses.field(default_factory=dict)
    #: A new volume of Docker takes owner and mode from the directory of the image, if there is one.
    volumes_like_image: bool = False
    tmpfs: list[str] = dataclasses.field(default_factory=list)
    read_only: bool = False
    no_capabilities: bool = False
    no_new_privileges: bool = False
    workdir: str = "/"
    #: The build steps of an image, run in its root directory.
    prepare: list[str] = dataclasses.field(default_factory=list)
    copies: dict[str, str] = dataclasses.field(default_factory=dict)
    #: The pid of a process whose network it shares; 0 for a network of its own.
    network: int = 0
    #: Control groups too, which a manager of services needs.
    manager: bool = False
    environment: str = ""
    layer: str = ""


class Box:
    """A running command in a box, which ends with the command."""

    def __init__(self, spec: Spec, log: pathlib.Path) -> None:
        self._spec = spec
        self._log = log
        kinds = [
            "--mount",
            "--pid",
            "--ipc",
            *([] if spec.network else ["--net"]),
            "--uts",
            *(["--cgroup"] if spec.manager else []),
        ]
        join = ["nsenter", f"--target={spec.network}", "--net", "--"] if spec.network else []
        words = [*join, "unshare", *kinds, "--fork", "--kill-child", sys.executable, __file__]
        with log.open("w") as out:
            self._outer = subprocess.Popen(
                [*words, json.dumps(dataclasses.asdict(spec))],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def pid(self) -> int:
        """The pid outside of the first process of the box; 0 before it exists and after its end."""
        children = pathlib.Path(f"/proc/{self._outer.pid}/task/{self._outer.pid}/children")
        with contextlib.suppress(OSError):
            return int((children.read_text().split() or ["0"])[0])
        return 0

    def status(self, pid: str = "1") -> dict[str, str]:
        """The status that the kernel has of a process, by its pid in the box."""
        lines = self.run("cat", f"/proc/{pid}/status").stdout.splitlines()
        return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}

    def run(
        self, *words: str, user: bool = False, timeout: float = 30
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the box, as root or as the user of the server."""
        enter = [
            "nsenter",
            f"--target={self.pid()}",
            "--mount",
            "--pid",
            "--net",
            "--ipc",
            "--uts",
            "--root",
            "--wdns=/",
        ]
        ids = [f"--setuid={self._spec.uid}", f"--setgid={self._spec.gid}"] if user else []
        env = {"PATH": "/usr/bin:/bin", **(self._spec.env if user else {})}
        return subprocess.run(
            [*enter, *ids, "--", *words], env=env, capture_output=True, text=True, timeout=timeout
        )

    def signal(self, number: int) -> None:
        os.kill(self.pid(), number)

    def ended(self) -> bool:
        return self._outer.poll() is not None

    def wait(self, seconds: float) -> int:
        return self._outer.wait(seconds)

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        port: int = 5000,
        timeout: float = 30,
        **headers: str,
    ) -> Any:
        """One request from within the box's network: the status and the body."""

        def request() -> tuple[int, bytes]:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
            try:
                given = (
                    {"Content-Type": "application/json", **headers} if body is not None else headers
                )
                connection.request(method, path, None if body is None else json.dumps(body), given)
                answer = connection.getresponse()
                return answer.status, answer.read()
            finally:
                connection.close()

        return self._in_its_network(request)

    def _in_its_network(self, do: Callable[[], Any]) -> Any:
        def enter() -> None:
            with open(f"/proc/{self.pid()}/ns/net") as network:
                if ctypes.CDLL(None, use_errno=True).setns(
                    network.fileno(), 0
                ):  # only for this thread
                    raise OSError(ctypes.get_errno(), "setns")

        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            return pool.submit(lambda: (enter(), do())[1]).result()

    def close(self) -> None:
        if self._outer.poll() is None:
            if pid := self.pid():
                os.kill(pid, 9)
            self._outer.wait(20)


class Layers:
    """Directories for the files that boxes write. They are in memory, because the layer above a
    root directory can't be in that directory.
    """

    def __init__(self) -> None:
        self._made: list[str] = []

    def new(self) -> str:
        self._made.append(tempfile.mkdtemp(dir="/dev/shm", prefix="coggo-test-layer-"))
        return self._made[-1]

    def close(self) -> None:
        for path in self._made:
            shutil.rmtree(path)


def possible() -> bool:
    """Whether this machine allows boxes."""
    try:
        return (
            os.geteuid() == 0
            and subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"]).returncode == 0
        )
    except OSError:
        return False


def inside(spec: Spec) -> None:
    """Build the box around this process, and become the command."""
    call("mount", "--make-rprivate", "/")
    root = overlay(spec.layer)
    call("mount", "-t", "proc", "proc", f"{root}/proc")
    call("mount", "--rbind", "/dev", f"{root}/dev")
    call(
        "mount", "-t", "tmpfs", "-o", "size=64m,mode=1777", "shm", f"{root}/dev/shm"
    )  # as Docker does
    loopback_up()
    os.makedirs(root + ENVIRONMENT, exist_ok=True)
    call("mount", "--bind", spec.environment, root + ENVIRONMENT)
    if spec.manager:
        call("mount", "-t", "sysfs", "sysfs", f"{root}/sys")
        call("mount", "-t", "cgroup2", "cgroup2", f"{root}/sys/fs/cgroup")
        spec.tmpfs.append("/run")
    if not os.path.exists(f"{spec.layer}/prepared"):
        for source, target in spec.copies.items():
            shutil.copytree(source, root + target)
        for command in spec.prepare:
            call("chroot", root, "sh", "-ec", command)
        pathlib.Path(spec.layer, "prepared").touch()
    for target, source in spec.volumes.items():
        if spec.volumes_like_image and os.path.isdir(root + target):
            like = os.stat(root + target)
            os.chown(source, like.st_uid, like.st_gid)
            os.chmod(source, like.st_mode & 0o7777)
        os.makedirs(root + target, exist_ok=True)
        call("mount", "--bind", source, root + target)
    for target in spec.tmpfs:
        os.makedirs(root + target, exist_ok=True)
        call("mount", "-t", "tmpfs", "-o", "mode=1777", "none", root + target)
    if spec.read_only:
        call("mount", "-o", "remount,bind,ro", root)
    os.chroot(root)
    os.chdir(spec.workdir)
    groups = ",".join(str(g) for g in spec.groups)
    words = [
        "setpriv",
        f"--reuid={spec.uid}",
        f"--regid={spec.gid}",
        f"--groups={groups}" if groups else "--clear-groups",
    ]
    words += ["--bounding-set=-all", "--inh-caps=-all"] if spec.no_capabilities else []
    words += ["--no-new-privs"] if spec.no_new_privileges else []
    os.execvp(
        words[0], [*words, "env", "-i", *(f"{k}={v}" for k, v in spec.env.items()), *spec.command]
    )


def overlay(layer: str) -> str:
    """The root directory of the machine with a layer above it, where it can be written."""
    upper, work, root = (f"{layer}/{name}" for name in ("upper", "work", "root"))
    for path in (upper, work, root):
        os.makedirs(path, exist_ok=True)
    for name in EMPTY:
        if not os.path.exists(f"{upper}/{name}"):
            os.mkdir(f"{upper}/{name}")
            os.setxattr(f"{upper}/{name}", "trusted.overlay.opaque", b"y")
    for name in MISSING:
        if os.path.exists(f"/{name}") and not os.path.lexists(f"{upper}/{name}"):
            os.mknod(f"{upper}/{name}", stat.S_IFCHR, 0)  # which hides the files below it
    os.chmod(f"{upper}/tmp", 0o1777)
    call(
        "mount",
        "-t",
        "overlay",
        "overlay",
        "-o",
        f"lowerdir=/,upperdir={upper},workdir={work}",
        root,
    )
    return root


def loopback_up() -> None:
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
    from namespaces import loopback

    loopback()


def call(*words: str) -> None:
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        sys.exit(f"{shlex.join(words)}: {done.stdout}")


if __name__ == "__main__":
    inside(Spec(**json.loads(sys.argv[1])))
