"""Load with faults, and a ledger of every prediction. As a program it is ``make chaos``, ``make
kills`` and ``make soak``, and prints the figures of docs/reliability.md.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import pathlib
import platform
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from typing import Any, Callable, NamedTuple

from faults_memory import LOADS
from faults_models import ASYNC_MODEL, TERMINAL, descriptors, files_in, free_port
from http_harness import Receiver, Server
from waiting import until

COMPLETED = ["completed"]


class Ledger(NamedTuple):
    """The requests that were sent, and the result of each."""

    sent: int
    accepted: int
    terminal: int
    lost: list[str]
    doubled: list[str]
    kills: int
    seconds: float  # until all was sent

    def __str__(self) -> str:
        return (
            f"{self.sent:,} requests in {self.seconds:.0f} s, {self.kills} kills, {self.accepted:,} accepted, "
            f"{self.terminal:,} ended: {len(self.lost)} lost, {len(self.doubled)} doubled"
        )


class Chaos:
    """Clients of all kinds against a server that is killed repeatedly. With ``flag`` its working
    directory is in the directory of the test, otherwise the server chooses one.
    """

    def __init__(
        self,
        start: Callable[..., Server],
        directory: pathlib.Path,
        receiver: Receiver,
        seed: int,
        flag: bool,
    ) -> None:
        where = ("--working-dir", str(directory / "spool")) if flag else ("--port", free_port())
        self._flags = (*where, "--max-concurrency", "16", "--max-restarts", "100000")
        self._flags += ("--retain", "100000", "--cancel-grace", "500ms")
        self._options: dict[str, Any] = {
            "model_dir": directory / "model",
            "env": {"TMPDIR": str(directory / "tmp")},
        }
        for name in ("model", "tmp"):
            (directory / name).mkdir(parents=True)
        self._start = start
        self._receiver = receiver
        self._random = random.Random(seed)
        self._stop = threading.Event()
        self._pace = 0.0  # seconds between two requests of a client, at most
        self._count = threading.Lock()
        self.sent = 0
        self.kills = 0
        self.accepted: list[str] = []
        self.acknowledged: set[str] = set()
        receiver.answer = self._answer
        self.server = self._begin()

    def _begin(self) -> Server:
        return self._start(ASYNC_MODEL, *self._flags, **self._options)

    def _answer(self, number: int) -> int:
        if self._random.random() < 0.3:
            return 503
        body = self._receiver.got[number - 1]
        if body["status"] in TERMINAL:
            self.acknowledged.add(body["id"])
        return 200

    def run(self, seconds: float, requests: int, clients: int = 4) -> Ledger:
        """Run until the time is over or everything was sent, then wait for every end."""
        self._pace = seconds * clients / requests
        threads = [
            threading.Thread(target=self._client, args=(n, requests // clients))
            for n in range(clients)
        ]
        for thread in threads:
            thread.start()
        begin = time.monotonic()
        end = begin + seconds
        while time.monotonic() < end and any(thread.is_alive() for thread in threads):
            time.sleep(self._random.uniform(0.2, 1.2))
            self._kill()
        self._stop.set()
        for thread in threads:
            thread.join()
        return self._settle(time.monotonic() - begin)

    def _kill(self) -> None:
        self.kills += 1
        if self._random.random() < 0.5:
            self.server.kill()
            self.server = self._begin()
            return
        os.kill(
            self.server.runner(),
            self._random.choice([signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM]),
        )
        self.server.wait_status("READY")

    def _client(self, name: int, count: int) -> None:
        dice = random.Random(name)
        for number in range(count):
            if self._stop.is_set():
                return
            with self._count:
                self.sent += 1
            try:
                self._ask(f"c{name}-{number}", dice)
            except (OSError, http.client.HTTPException, ValueError):
                time.sleep(0.01)  # killed in the middle
            time.sleep(self._pace * dice.random())

    def _ask(self, id: str, dice: random.Random) -> None:
        kind = dice.random()
        server = self.server
        body: Any = {"id": id, "input": {"s": dice.random() / 20}, "webhook": self._receiver.url}
        body["webhook_events_filter"] = COMPLETED
        if kind < 0.6:
            if (
                server.ask("POST", "/predictions", body, timeout=10, Prefer="respond-async").status
                == 202
            ):
                self.accepted.append(id)
                if kind < 0.1:
                    server.ask("POST", f"/predictions/{id}/cancel", timeout=10)
            else:
                time.sleep(0.01)
        elif kind < 0.7:
            server.ask("POST", "/predictions", {**body, "webhook": None}, timeout=10)
        elif kind < 0.8:
            server.ask(
                "POST", "/predictions", {"id": id, "input": {"s": "never", "n": []}}, timeout=10
            )
        elif kind < 0.9:
            server.ask(
                "POST",
                "/predictions",
                '{"input": {' * 100,
                timeout=10,
                Content_Type="application/json",
            )
        else:
            text = json.dumps({**body, "id": f"left-{id}"}).encode()
            head = f"POST /predictions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(text)}"
            with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
                connection.sendall(
                    head.encode() + b"\r\n\r\n" + text[: dice.randrange(len(text) + 1)]
                )

    def _settle(self, seconds: float) -> Ledger:
        def ended(id: str) -> bool:
            return bool(self.server.get(f"/predictions/{id}").json.get("status") in TERMINAL)

        left = set(self.accepted)
        limit = time.monotonic() + 90
        while left and time.monotonic() < limit:
            left = {id for id in left if id not in self.acknowledged or not ended(id)}
            time.sleep(0.1)
        told: dict[str, set[str]] = {}
        for body in self._receiver.got:
            if body["status"] in TERMINAL:
                told.setdefault(body["id"], set()).add(
                    json.dumps([body["status"], body["output"], body["completed_at"]])
                )
        doubled = [id for id, found in told.items() if len(found) > 1]
        terminal = len(self.accepted) - len(left)
        return Ledger(
            self.sent, len(self.accepted), terminal, sorted(left), doubled, self.kills, seconds
        )


def chaos_holds(start: Callable[..., Server], base: pathlib.Path, seconds: int, flag: bool) -> bool:
    """Return whether nothing was lost or duplicated in this many seconds, and print the ledger."""
    name = "with" if flag else "without"
    receiver = Receiver()
    try:
        chaos = Chaos(start, base / name, receiver, seed=seconds, flag=flag)
        ledger = chaos.run(seconds, 10_000)
        print(f"{name} --working-dir: {ledger}", flush=True)
        for id in ledger.lost:
            told = "acknowledged" if id in chaos.acknowledged else ""
            print("lost", id, told, chaos.server.get(f"/predictions/{id}"))
        chaos.server.process.send_signal(signal.SIGTERM)
        chaos.server.process.wait(60)
    finally:
        receiver.close()
    return not ledger.lost and not ledger.doubled


def kills(server: Server, receiver: Receiver, count: int) -> list[float]:
    """Kill the runner repeatedly with a prediction in flight; return the seconds from each kill to
    the visible end.
    """
    late = []
    for n in range(count):
        server.wait_status("READY")
        body = {
            "id": f"kill{n}",
            "input": {"s": 600},
            "webhook": receiver.url,
            "webhook_events_filter": COMPLETED,
        }
        assert server.ask("POST", "/predictions", body, Prefer="respond-async").status == 202
        os.kill(server.runner(), signal.SIGKILL)
        begin = time.monotonic()
        assert server.ended(f"kill{n}")["status"] == "failed"
        late.append(time.monotonic() - begin)
    until(
        "the receiver has every end",
        lambda: len({body["id"] for body in list(receiver.got)}) == count,
    )
    assert len(receiver.got) == count, "one terminal event for each"
    return late


class Sample(NamedTuple):
    """The memory, descriptors, threads and files of a server and its runner."""

    done: int
    rss: list[int]  # KiB
    descriptors: list[int]
    entries: int


def measure(server: Server, done: int) -> Sample:
    """Measure both processes and their directory."""
    pids = [server.process.pid, server.runner()]
    return Sample(
        done,
        [rss(pid) for pid in pids],
        [descriptors(pid) for pid in pids],
        len(files_in(server.spool())),
    )


def rss(pid: int) -> int:
    """Resident memory in KiB."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(text.split("VmRSS:")[1].split()[0])


def soak(server: Server, count: int, every: int, clients: int = 4) -> list[Sample]:
    """Many predictions on kept connections; a sample after each ``every``."""
    samples = []
    for done in range(0, count, every):
        threads = [
            threading.Thread(target=many, args=(server, every // clients)) for _ in range(clients)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        samples.append(measure(server, done + every))
    return samples


def many(server: Server, count: int) -> None:
    """Predictions on one connection, one after the other."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    for n in range(count):
        body = json.dumps({"input": {"n": n}})
        connection.request("POST", "/predictions", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        assert answer.status == 200 and b'"succeeded"' in answer.read()
    connection.close()


def slope(samples: list[Sample], process: int) -> float:
    """MiB per 10,000 predictions, over the second half."""
    half = samples[len(samples) // 2 :]
    line = statistics.linear_regression([s.done for s in half], [s.rss[process] for s in half])
    return line.slope * 10_000 / 1024


def owed(server: Server, receiver: Receiver, count: int) -> list[str]:
    """Send asynchronous predictions whose receiver fails 30 % of first attempts; return the ids
    that did not end with exactly one event.
    """
    first: set[str] = set()
    told: dict[str, int] = {}
    dice = random.Random(1)

    def answer(number: int) -> int:
        id = receiver.got[number - 1]["id"]
        if id not in first:
            first.add(id)
            if dice.random() < 0.3:
                return 503
        told[id] = told.get(id, 0) + 1
        return 200

    receiver.answer = answer
    threads = [
        threading.Thread(target=detached, args=(server, receiver, n, count // 4)) for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until("the receiver has every end", lambda: len(told) == count, 120)
    return [id for id, times in told.items() if times != 1]


def detached(server: Server, receiver: Receiver, name: int, count: int) -> None:
    """Send asynchronous predictions on one connection, and repeat those that are refused."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    header = {"Content-Type": "application/json", "Prefer": "respond-async"}
    for n in range(count):
        body = json.dumps(
            {"id": f"{name}-{n}", "webhook": receiver.url, "webhook_events_filter": COMPLETED}
        )
        status = 0
        while status != 202:
            connection.request("POST", "/predictions", body, header)
            answer = connection.getresponse()
            answer.read()
            status = answer.status
            assert status in (202, 409, 429), status
    connection.close()


PLAIN = "class Predictor:\n    async def predict(self, n: int = 0) -> int:\n        return n\n"


def when_and_where() -> str:
    """The heading of a table of figures."""
    head = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True
    ).stdout.strip()
    now = time.strftime("%Y-%m-%dT%H:%MZ", time.gmtime())
    return f"{now}, {head or 'no commit'}, {os.cpu_count()} processors, Linux {platform.release()}"


@contextlib.contextmanager
def starter() -> Iterator[Callable[..., Server]]:
    """Starts servers in a directory that is removed after them."""
    from servers import Starter

    class Directories:
        def mktemp(self, name: str) -> pathlib.Path:
            return pathlib.Path(tempfile.mkdtemp(prefix=f"{name}-", dir=base))

    with tempfile.TemporaryDirectory() as base:
        start = Starter(Directories())  # type: ignore[arg-type]
        try:
            yield start
        finally:
            start.close()


def main(what: str, amount: int) -> int:
    """One of the make targets, or the last part of ``make soak`` alone: ``memory``."""
    print(f"{what} {amount}: {when_and_where()}", flush=True)
    if what == "memory":
        return main_memory()
    receiver = Receiver()
    try:
        with starter() as start:
            if what == "chaos":
                return main_chaos(start, amount)
            if what == "kills":
                return main_kills(start, receiver, amount)
            good = main_soak(start, receiver, amount)
    finally:
        receiver.close()
    return good | main_memory()


def main_chaos(start: Callable[..., Server], seconds: int) -> int:
    with tempfile.TemporaryDirectory() as base:
        good = [chaos_holds(start, pathlib.Path(base), seconds, flag) for flag in (True, False)]
    return int(not all(good))


def main_kills(start: Callable[..., Server], receiver: Receiver, amount: int) -> int:
    server = start(ASYNC_MODEL, "--max-restarts", "1000000")
    late = sorted(kills(server, receiver, amount))
    told = f"told after {late[amount // 2]:.3f} s (median), {late[-1]:.3f} s at worst"
    print(f"{amount:,} kills in a row: 0 lost, 0 doubled; {told}")
    return 0


def main_soak(start: Callable[..., Server], receiver: Receiver, amount: int) -> int:
    server = start(PLAIN, "--max-concurrency", "32", "--retain", "100")
    samples = soak(server, amount, max(amount // 20, 4))
    first, last = samples[1], samples[-1]
    grown = [f"{name} {slope(samples, n):+.2f} MiB" for n, name in enumerate(("server", "runner"))]
    held = [f"{then} → {now}" for then, now in zip(first.descriptors, last.descriptors)]
    print(
        f"{amount:,} predictions: {' and '.join(grown)} for 10,000, descriptors {' and '.join(held)}, "
        f"files {first.entries} → {last.entries}"
    )
    wrong = owed(server, receiver, amount // 4)
    print(
        f"{amount // 4:,} asynchronous predictions, 30 % of first webhooks fail: {len(wrong)} without exactly one terminal event"
    )
    return int(bool(wrong))


def main_memory() -> int:
    """A row for each load of faults_memory; fails if one is above its bound."""
    print(
        "| what others put into the server | sent | RSS | PSS | RSS / sent | bound |\n|---|---|---|---|---|---|",
        flush=True,
    )
    above = []
    for load in LOADS:
        with starter() as start:
            row = load.run(start, load.large)
        print(load.line(row), flush=True)
        if row.rss > load.bound(row.sent):
            above.append(load.name)
    for name in above:
        print(f"above its bound: {name}")
    return int(bool(above))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
