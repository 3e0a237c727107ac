"""A queue of many servers under faults, and a ledger of every prediction. As a program it is
``make chaos-queue``.

Clients ask two gateways for predictions of three workers, while workers, gateways and the broker
are killed, stopped for a while, or asked to end. Afterwards the ledger says what became of each.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import hashlib
import http.client
import json
import os
import pathlib
import random
import signal
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from typing import Any, Callable, ClassVar, NamedTuple

from faults_load import when_and_where
from faults_models import TERMINAL
from http_harness import Answer, Receiver, Server, data_of
from model_sources import model_source
from queue_harness import Broker, cluster_flags
from servers import BINARY, real_python
from waiting import until

MODEL = model_source("queue/ledger")
NAME = "chaos/ledger"
SECRET = "whsec_" + "c2VjcmV0IG9mIGFsbCBzZXJ2ZXJzIG9mIGEgcXVldWU="
LARGE = 600_000  # bytes; what is above 512 KiB lies in pieces

#: What can happen, to whom, and how often in proportion.
FAULTS = [
    ("kill", "worker", 8),
    ("kill", "gateway", 6),
    ("kill", "broker", 3),
    ("end", "worker", 2),
    ("stop", "worker", 4),
    ("stop long", "worker", 1.5),
    ("stop", "gateway", 3),
    ("stop long", "gateway", 0.5),
    ("stop", "broker", 1),
]


class Fault(NamedTuple):
    """One fault as it happened."""

    what: str
    whom: str
    pid: int
    begin: float
    end: float


class Member:
    """One process of the queue, which is started again after each end. Its lock is held while
    something happens to it.
    """

    started: ClassVar[list[Member]] = []

    def __init__(self, kind: str, start: Callable[[str], Any]) -> None:
        self.kind = kind
        self._start = start
        self.busy = threading.Lock()
        self.port = "0"
        self.process = start("0")
        self.started.append(self)
        if kind != "broker":
            self.process.wait_listening()
            self.port = str(self.process.port)

    @property
    def pid(self) -> int:
        return int(self.process.process.pid)

    def kill(self) -> None:
        self.process.kill()
        self.begin()

    def end(self) -> None:
        self.process.process.send_signal(signal.SIGTERM)
        self.process.process.wait(60)
        self.begin()

    def begin(self) -> None:
        if self.kind == "broker":
            self.process.start()
            return
        log, self.process = self.process, self._start(self.port)
        log.keep()
        self.process.wait_listening()

    def stop(self, seconds: float, model_too: bool) -> None:
        pids = [self.pid]
        if model_too and self.kind == "worker":
            with contextlib.suppress(AssertionError, OSError):
                pids.append(self.process.runner())
        for pid in pids:
            send(pid, signal.SIGSTOP)
        time.sleep(seconds)
        for pid in reversed(pids):
            send(pid, signal.SIGCONT)


def send(pid: int, what: signal.Signals) -> None:
    """Send a signal to a process that may have ended."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, what)


class Logged(Server):
    """A server whose log outlives it."""

    logs: ClassVar[dict[str, str]] = {}

    def keep(self) -> None:
        self.logs[f"{self.process.pid}"] = self.log()
        self.close_log()


def end_in(answer: Answer) -> Any:
    """The end that an answer shows; None if the prediction has not ended."""
    return answer.json if answer.json["status"] in TERMINAL else None


class Asked:
    """What a client knows of one prediction that it has asked for."""

    def __init__(self, id: str, kind: str, webhook: bool) -> None:
        self.id, self.kind, self.webhook = id, kind, webhook
        self.accepted = False
        self.left = 0  # how often the client went away while it waited: that cancels the run
        self.canceled = False  # a cancel was answered with 200
        self.answer: Any = None  # the end, as it was answered to a client that waited
        #: Whether a successful end has the files that it must have.
        self.whole: Callable[[Any], bool] = lambda end: True


class Ledger(NamedTuple):
    """What became of all predictions."""

    sent: int
    accepted: int
    ends: dict[str, int]
    faults: dict[str, int]
    lost: list[str]  # accepted, and without an end
    differing: list[str]  # with two different ends
    untold: list[str]  # without a terminal webhook for the end
    damaged: list[str]  # with other files than their own, of one run
    repeated: int  # webhooks that came again after they were acknowledged
    twice: int  # runs beyond the first of an id
    in_flight: int  # runs that were under way as something happened to their worker or the broker
    unexplained: list[str]  # ran again although nothing had happened
    uncanceled: list[str]  # ended otherwise after a cancel was accepted
    deserted: list[str]  # canceled, although a client waits and nobody asked for that
    left_over: dict[str, int]  # what is left in the broker
    refused: collections.Counter[int]  # answers by status that were no acceptance
    seconds: float
    settled: float

    def good(self) -> bool:
        return not (
            self.lost
            or self.differing
            or self.untold
            or self.damaged
            or self.unexplained
            or self.deserted
            or any(self.left_over.values())
            or self.twice > self.in_flight
        )

    def __str__(self) -> str:
        def listed(counts: dict[Any, int]) -> str:
            return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))

        rows = [
            ("sent", f"{self.sent:,} in {self.seconds:.0f} s, settled {self.settled:.0f} s later"),
            ("accepted", f"{self.accepted:,}; other answers: {listed(self.refused)}"),
            ("faults", f"{sum(self.faults.values())}: {listed(self.faults)}"),
            ("ends", listed(self.ends)),
            ("lost", some(self.lost)),
            ("with two different ends", some(self.differing)),
            ("without their webhook", some(self.untold)),
            ("with files that are not theirs", some(self.damaged)),
            ("webhooks that came again after 200", f"{self.repeated:,}"),
            ("run again", f"{self.twice:,} of {self.in_flight:,} in flight at faults"),
            ("run again without a reason", some(self.unexplained)),
            ("canceled while a client waits", some(self.deserted)),
            ("ended otherwise than canceled", some(self.uncanceled)),
            ("left in the broker", listed(self.left_over)),
        ]
        return "\n".join(f"  {name:36} {value}" for name, value in rows)


def some(ids: list[str]) -> str:
    return f"{len(ids):,}" + (": " + ", ".join(sorted(ids)[:8]) if ids else "")


class Chaos:
    """The queue, its clients and its faults."""

    def __init__(self, base: pathlib.Path, receiver: Receiver, seed: int, nodes: int) -> None:
        self._base, self._receiver, self._seed, self._nodes = base, receiver, seed, nodes
        self._random = random.Random(seed)
        self._over = threading.Event()
        self._sent = 0
        self._count = threading.Lock()  # guards what clients write together
        self._refused: collections.Counter[int] = collections.Counter()
        self._asked: list[Asked] = []
        self._damaged: list[str] = []  # files that were read otherwise than they were stored
        self._faults: list[Fault] = []
        self._told: dict[str, list[tuple[bool, Any]]] = {}  # terminal webhooks by id
        self._broken = threading.Lock()  # held while something happens to a node of the broker
        self._runs = base / "runs"
        self._runs.touch()
        receiver.answer = self._answer
        self._broker_flags = cluster_flags(nodes)
        self.brokers = [Member("broker", self._broker_starter(n)) for n in range(nodes)]
        self.workers = [Member("worker", self._worker) for _ in range(3)]
        for member in self.workers:
            member.process.wait_status("READY", 60)
        self.gateways = [Member("gateway", self._gateway) for _ in range(2)]
        for member in self.gateways:
            member.process.wait_status("READY", 60)

    def _broker_starter(self, number: int) -> Callable[[str], Broker]:
        directory = self._base / f"broker{number}"
        directory.mkdir()
        flags = self._broker_flags[number]
        return lambda _: Broker(directory, flags=flags)

    def _shared(self) -> list[str]:
        urls = ",".join(member.process.url for member in self.brokers)
        return [
            *("--queue", urls, "--queue-replicas", str(self._nodes), "--name", NAME),
            *("--webhook-secret", SECRET, "--runner-shutdown-grace-period", "2s"),
        ]

    def _worker(self, port: str) -> Logged:
        directory = pathlib.Path(tempfile.mkdtemp(dir=self._base))
        (directory / "predict.py").write_text(MODEL)
        flags = [*self._shared(), "--max-concurrency", "8", "--max-attempts", "100"]
        flags += ["--host", "127.0.0.1", "--port", port, "--cancel-grace", "2s"]
        return Logged(BINARY, directory, real_python(), flags, env={"RUNS": str(self._runs)})

    def _gateway(self, port: str) -> Logged:
        directory = pathlib.Path(tempfile.mkdtemp(dir=self._base))
        command = [str(BINARY), "gateway", "--host", "127.0.0.1", "--port", port, *self._shared()]
        return Logged(BINARY, directory, "", (), command=command)

    def _answer(self, number: int) -> int:
        body = self._receiver.got[number - 1]
        with self._count:
            good = self._random.random() >= 0.3
            if body["status"] in TERMINAL:
                self._told.setdefault(body["id"], []).append((good, body))
        self._receiver.bodies[number - 1] = b""  # large outputs would fill the memory
        return 200 if good else 503

    # Clients.

    def run(self, count: int, rate: float, clients: int = 32) -> Ledger:
        """Ask for so many predictions, and wait until each has ended."""
        threads = [
            threading.Thread(target=self._client, args=(n, count, clients, clients / rate))
            for n in range(clients)
        ]
        begin = time.monotonic()
        for thread in threads:
            thread.start()
        breaking = threading.Thread(target=self._break)
        breaking.start()
        for thread in threads:
            thread.join()
        self._over.set()
        breaking.join()
        sent = time.monotonic()
        left = self._settle()
        return self._ledger(left, sent - begin, time.monotonic() - sent)

    def _client(self, name: int, count: int, clients: int, pace: float) -> None:
        dice = random.Random(self._seed * 1000 + name)
        due = time.monotonic()
        for number in range(name, count, clients):
            try:
                self._ask(f"c{number}", dice)
            except Exception as failed:  # shown, and the client goes on
                print("client:", number, repr(failed), flush=True)
            due += pace
            time.sleep(max(0.0, due - time.monotonic()) * dice.uniform(0.5, 1))

    def _ask(self, id: str, dice: random.Random) -> None:
        kind = dice.choices(list(KINDS), [share for share, _ in KINDS.values()])[0]
        with self._count:
            self._sent += 1
        KINDS[kind][1](self, id, dice)

    def _request(self, id: str, dice: random.Random, **given: Any) -> dict[str, Any]:
        input: dict[str, Any] = {"name": id, "s": given.pop("s", 0)}
        if dice.random() < 0.01:
            input["size"] = LARGE
        if dice.random() < 0.01:
            input["ballast"] = "y" * LARGE
        hook = {"webhook": self._receiver.url, "webhook_events_filter": ["completed"]}
        return {"input": {**input, **given}, **hook}

    def _send(
        self, dice: random.Random, method: str, path: str, body: Any = None, **headers: str
    ) -> Answer | None:
        """One request to any gateway; None when it has failed."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        text = body if isinstance(body, bytes) else None
        if body is not None and text is None:
            text, given["Content-Type"] = json.dumps(body).encode(), "application/json"
        port = int(dice.choice(self.gateways).port)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=8)
        try:
            connection.request(method, path, text, given)
            response = connection.getresponse()
            found = {k.lower(): v for k, v in response.getheaders()}
            answer = Answer(response.status, found, response.read())
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()
        if answer.status not in (200, 201, 202):
            with self._count:
                self._refused[answer.status] += 1
        return answer

    def put(self, id: str, dice: random.Random, wait: bool, **given: Any) -> Asked:
        """PUT until a gateway accepts it."""
        asked = Asked(id, "put", True)
        self._asked.append(asked)
        headers = {name: given.pop(name) for name in ("Cancel_After",) if name in given}
        if not wait:
            headers["Prefer"] = "respond-async"
        body = self._request(id, dice, **given)
        limit = time.monotonic() + 120
        while time.monotonic() < limit:
            answer = self._send(dice, "PUT", f"/predictions/{id}", body, **headers)
            if answer and answer.status in (200, 201, 202):
                asked.accepted = True
                asked.answer = end_in(answer)
                return asked
            if answer is None and wait:
                asked.left += 1
            if answer and answer.status not in (409, 429, 503):
                raise AssertionError(f"{answer.status} {answer.body[:300]!r}")
            time.sleep(dice.uniform(0.05, 0.3))
        print("gave up:", id, answer, flush=True)
        return asked

    def post(self, id: str, dice: random.Random, wait: bool) -> None:
        """POST once: who can't repeat a request does not know what became of it."""
        asked = Asked(id, "post", True)
        self._asked.append(asked)
        body = {"id": id, **self._request(id, dice, s=dice.uniform(0, 0.1))}
        headers = {} if wait else {"Prefer": "respond-async"}
        answer = self._send(dice, "POST", "/predictions", body, **headers)
        if answer is None and wait:
            asked.left += 1
        if answer and answer.status in (200, 201, 202):
            asked.accepted = True
            asked.answer = end_in(answer)

    def cancel(self, id: str, dice: random.Random) -> None:
        asked = self.put(id, dice, wait=False, s=dice.uniform(0.3, 5))
        asked.kind = "cancel"
        time.sleep(dice.choice([0, 0.01, 0.2]))
        for _ in range(20):
            answer = self._send(dice, "POST", f"/predictions/{id}/cancel")
            if answer and answer.status in (200, 404):
                asked.canceled = answer.status == 200
                return
            time.sleep(0.2)

    def deadline(self, id: str, dice: random.Random) -> None:
        seconds = dice.choice([0.1, 4.9, 5.1, 20])
        asked = self.put(id, dice, wait=False, s=seconds, Cancel_After="5s")
        asked.kind = "deadline"

    def files_out(self, id: str, dice: random.Random) -> None:
        """Output files: all are of the one run that the end is of."""
        size = dice.choice([20_000, 80_000, 80_000, LARGE])
        asked = self.put(id, dice, dice.random() < 0.5, s=dice.uniform(0, 0.3), made=size)

        def whole(output: Any) -> bool:
            texts = [f"{id} {output['run']} {n}\n".encode() for n in range(2)]
            want = [text * (size // len(text)) for text in texts]
            return [data_of(url)[0] for url in output["files"]] == want

        asked.whole = whole

    def file_in(self, id: str, dice: random.Random) -> None:
        """A file that is uploaded at one gateway, read at another, and an input of a worker."""
        data = f"{id}\n".encode() * (dice.choice([5_000, 80_000, LARGE]) // (len(id) + 1))
        form = (
            b'--b\r\nContent-Disposition: form-data; name="content"\r\n\r\n' + data + b"\r\n--b--"
        )
        limit = time.monotonic() + 120
        stored = None
        while time.monotonic() < limit and not (stored and stored.status == 201):
            stored = self._send(dice, "POST", "/v1/files", form, Content_Type=FORM)
            time.sleep(dice.uniform(0, 0.2))
        assert stored and stored.status == 201, stored
        path = f"/v1/files/{stored.json['id']}"
        again = self._send(dice, "GET", path + "/download")
        if again and again.status != 503 and again.body != data:
            self._damaged.append(f"{id} {again.status}")
        sha = hashlib.sha256(data).hexdigest()
        asked = self.put(id, dice, dice.random() < 0.5, file="http://any" + path)
        asked.kind, asked.whole = "file", lambda output: bool(output[1] == sha)

    def invalid(self, id: str, dice: random.Random) -> None:
        answer = self._send(dice, "POST", "/predictions", {"input": {"name": 1, "s": "x"}})
        assert answer is None or answer.status in (422, 503), answer

    # Faults.

    def _break(self) -> None:
        dice = random.Random(self._seed)
        under_way: list[threading.Thread] = []
        while not self._over.wait(dice.uniform(0.3, 2.0)):
            what, kind, _ = dice.choices(FAULTS, [share for *_, share in FAULTS])[0]
            members = {
                "worker": self.workers,
                "gateway": self.gateways,
                "broker": self.brokers,
            }[kind]
            seconds = dice.uniform(11, 14) if what == "stop long" else dice.uniform(0.1, 3)
            thread = threading.Thread(
                target=self._strike,
                args=(what, dice.choice(members), seconds, dice.random() < 0.5),
            )
            thread.start()
            under_way.append(thread)
        for thread in under_way:
            thread.join()

    def _strike(self, what: str, whom: Member, seconds: float, model_too: bool) -> None:
        lock = self._broken if whom.kind == "broker" else whom.busy
        if not lock.acquire(blocking=False):
            return  # something happens to it already
        try:
            begin, pid = time.time(), whom.pid
            if what == "kill":
                whom.kill()
            elif what == "end":
                whom.end()
            else:
                whom.stop(seconds, model_too)
            with self._count:
                self._faults.append(Fault(what, whom.kind, pid, begin, time.time()))
        except AssertionError as failed:
            print("fault:", what, whom.kind, str(failed)[-3000:], flush=True)
        finally:
            lock.release()

    # The ledger.

    def _get(self, member: Member, id: str) -> Any:
        try:
            answer = member.process.get(f"/predictions/{id}")
        except (OSError, http.client.HTTPException):
            return None
        found = answer.json
        return found if answer.status == 200 and found.get("status") in TERMINAL else None

    def _settle(self) -> set[str]:
        """Wait until every accepted prediction has ended and was told; return the others."""
        for member in [*self.gateways, *self.workers]:
            with contextlib.suppress(AssertionError):
                member.process.wait_status("READY", 60)
        left = {asked.id for asked in self._asked if asked.accepted}
        limit = time.monotonic() + 150
        self._ends: dict[str, list[Any]] = {}
        while left and time.monotonic() < limit:
            for id in list(left):
                if not any(good for good, _ in self._told.get(id, ())):
                    continue
                found = [self._get(member, id) for member in self.gateways]
                if all(found):
                    self._ends[id] = found
                    left.discard(id)
            time.sleep(0.2)
        for id in left:
            self._ends[id] = [end for m in self.gateways if (end := self._get(m, id))]
        with contextlib.suppress(AssertionError):
            until("the broker is empty", lambda: not any(self._left_over().values()), 60)
        return left

    def _left_over(self) -> dict[str, int]:
        """What the broker has still to do, by stream."""
        counts = {}
        for flags in self._broker_flags:
            port = flags[flags.index("-m") + 1]
            url = f"http://127.0.0.1:{port}/jsz?streams=true&config=false"
            with urllib.request.urlopen(url, timeout=10) as answer:
                found = json.load(answer)
            for account in found.get("account_details", ()):
                for stream in account.get("stream_detail", ()):
                    if stream["name"] in ("COGGO_Q", "COGGO_H"):
                        counts[stream["name"]] = max(
                            counts.get(stream["name"], 0), stream["state"]["messages"]
                        )
        return counts

    def _ledger(self, left: set[str], seconds: float, settled: float) -> Ledger:
        accepted = [asked for asked in self._asked if asked.accepted]
        ends: collections.Counter[str] = collections.Counter()
        lost, untold, differing, deserted = [], [], [], []
        damaged = list(self._damaged)
        for asked in accepted:
            found = self._ends.get(asked.id, [])
            if not found:
                lost.append(asked.id)
                continue
            ends[found[0]["status"]] += 1
            if asked.id in left:
                untold.append(asked.id)
            if found[0]["status"] == "succeeded" and not asked.whole(found[0]["output"]):
                damaged.append(asked.id)
            if asked.kind == "file" and found[0]["status"] == "failed":
                damaged.append(f"{asked.id}: {found[0]['error']}")
            if not one_end(asked, found, [body for _, body in self._told.get(asked.id, ())]):
                differing.append(asked.id)
            if (
                found[0]["status"] == "canceled"
                and not found[0]["error"]
                and asked.kind in ("put", "post", "file")
            ):
                deserted.append(asked.id)
        runs = Runs(self._runs.read_text(), self._faults)
        again = {asked.id for asked in self._asked if asked.left}
        return Ledger(
            sent=self._sent,
            accepted=len(accepted),
            ends=dict(ends),
            faults=dict(collections.Counter(f"{f.what} {f.whom}" for f in self._faults)),
            lost=lost,
            differing=differing,
            untold=untold,
            damaged=damaged,
            repeated=sum(
                max(0, sum(good for good, _ in told) - len({text(b) for _, b in told}))
                for told in self._told.values()
            ),
            twice=runs.twice(again),
            in_flight=runs.in_flight(),
            unexplained=runs.unexplained(again),
            uncanceled=[
                asked.id
                for asked in accepted
                if asked.canceled and any(e["status"] != "canceled" for e in self._ends[asked.id])
            ],
            deserted=deserted,
            left_over=self._left_over(),
            refused=self._refused,
            seconds=seconds,
            settled=settled,
        )

    def close(self) -> None:
        """End all; what has served must end cleanly."""
        for member in [*self.gateways, *self.workers]:
            member.process.process.send_signal(signal.SIGTERM)
        for member in [*self.gateways, *self.workers]:
            try:
                code = member.process.process.wait(60)
                assert code == 0, f"{member.kind} ended with {code}: {member.process.log()[-3000:]}"
            finally:
                member.process.process.kill()
                member.process.keep()
        for member in self.brokers:
            member.process.close()


FORM = "multipart/form-data; boundary=b"

#: What clients do, and how often in proportion.
KINDS: dict[str, tuple[float, Callable[[Chaos, str, random.Random], Any]]] = {
    "put, waits": (20, lambda c, id, dice: c.put(id, dice, True)),
    "put, waits longer": (15, lambda c, id, dice: c.put(id, dice, True, s=dice.uniform(0.05, 0.5))),
    "put": (15, lambda c, id, dice: c.put(id, dice, False)),
    "put, longer": (20, lambda c, id, dice: c.put(id, dice, False, s=dice.uniform(0.05, 0.5))),
    "fails": (5, lambda c, id, dice: c.put(id, dice, dice.random() < 0.5, fail=True)),
    "post, waits": (5, lambda c, id, dice: c.post(id, dice, True)),
    "post": (5, lambda c, id, dice: c.post(id, dice, False)),
    "canceled": (8, Chaos.cancel),
    "with a deadline": (5, Chaos.deadline),
    "returns files": (3, Chaos.files_out),
    "takes a file": (3, Chaos.file_in),
    "invalid": (2, Chaos.invalid),
}


def text(end: Any) -> str:
    return json.dumps(end, sort_keys=True)


def one_end(asked: Asked, found: list[Any], told: list[Any]) -> bool:
    """Whether gateways, receiver and the client that waited have seen the same end. Runs that were
    canceled because their client had left have ends of their own.
    """
    end = text(found[0])
    if any(text(other) != end for other in found):
        return False
    others = [body for body in told if text(body) != end]
    if others and not (asked.left and all(body["status"] == "canceled" for body in others)):
        return False
    return asked.answer is None or text(asked.answer) == end


class Run(NamedTuple):
    """One run of the model."""

    id: str
    server: int  # its process
    begin: float
    end: float  # infinite if the model was killed


class Runs:
    """What the model has noted, compared with the faults."""

    def __init__(self, noted: str, faults: list[Fault]) -> None:
        self._faults = faults
        begun, ended = {}, {}
        for line in noted.splitlines():
            what, id, run, server, at = line.split()
            (begun if what == "begin" else ended)[run] = (id, int(server), float(at))
        self._by_id: dict[str, list[Run]] = {}
        for run, (id, server, at) in begun.items():
            end = ended.get(run, ("", 0, float("inf")))[2]
            self._by_id.setdefault(id, []).append(Run(id, server, at, end))
        for runs in self._by_id.values():
            runs.sort(key=lambda run: run.begin)

    def twice(self, again: set[str]) -> int:
        """Runs beyond the first, without those of clients that had asked again."""
        return sum(len(runs) - 1 for id, runs in self._by_id.items() if id not in again)

    def in_flight(self) -> int:
        """Runs that had begun, and whose end may not have been stored, as something happened."""
        return sum(
            run.begin <= fault.end and run.end + STORED >= fault.begin
            for runs in self._by_id.values()
            for run in runs
            for fault in self._faults
            if fault.whom == "broker" or fault.pid == run.server
        )

    def unexplained(self, again: set[str]) -> list[str]:
        """Ids that ran again although nothing had happened to the broker or to one of the workers.
        What lay in a worker that was stopped begins there beside its claim, once it goes on, and is
        canceled. By then another worker may have got it, and begins it at the same time.
        """
        return [
            id
            for id, runs in self._by_id.items()
            if id not in again
            for first, second in zip(runs, runs[1:])
            if not any(
                fault.begin <= second.begin and fault.end + GOES_ON >= first.begin
                for fault in self._faults
                if fault.whom == "broker" or fault.pid in (first.server, second.server)
            )
        ]


#: How long after its run an end is stored at the latest, if nothing happens.
STORED = 1.0

#: How long after it goes on a worker that was stopped has begun what lies in it.
GOES_ON = 0.5


def hold(count: int, nodes: int, seed: int, rate: float, logs: str) -> bool:
    """Whether nothing was lost or doubled; prints the ledger."""
    receiver = Receiver()
    with tempfile.TemporaryDirectory() as base, none_left():
        chaos = Chaos(pathlib.Path(base), receiver, seed, nodes)
        try:
            ledger = chaos.run(count, rate)
            print(f"{nodes} broker node(s), seed {seed}:\n{ledger}", flush=True)
        finally:
            try:
                chaos.close()
            finally:
                receiver.close()
                if logs:
                    keep_logs(pathlib.Path(logs), chaos)
    return ledger.good()


@contextlib.contextmanager
def none_left() -> Iterator[None]:
    """Kill what is left of the members in the end, and close their logs."""
    try:
        yield
    finally:
        for member in Member.started:
            member.process.kill()
            member.process.close_log()
        Member.started.clear()


def keep_logs(directory: pathlib.Path, chaos: Chaos) -> None:
    """Write what all processes have written, and what the model has noted."""
    directory.mkdir(parents=True, exist_ok=True)
    for pid, log in Logged.logs.items():
        (directory / f"{pid}.log").write_text(log)
    (directory / "faults").write_text("\n".join(map(str, chaos._faults)))
    (directory / "runs").write_text(chaos._runs.read_text())
    (directory / "told").write_text(
        "\n".join(
            f"{id} {good} {text(body)[:2000]}"
            for id, told in chaos._told.items()
            for good, body in told
        )
    )


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("count", type=int, nargs="?", default=10_000)
    options.add_argument("--nodes", type=int, action="append", help="of the broker: 1 or 3")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--rate", type=float, default=40, help="predictions a second")
    options.add_argument("--logs", default="", help="directory for the logs of all processes")
    given = options.parse_args()
    good = True
    for nodes in given.nodes or [1, 3]:
        print(f"chaos-queue {given.count:,}: {when_and_where()}", flush=True)
        good &= hold(given.count, nodes, given.seed, given.rate, given.logs)
    return int(not good)


if __name__ == "__main__":
    sys.exit(main())
