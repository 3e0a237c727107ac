"""Many streams through two gateways while workers, gateways and the broker are killed and stopped,
and a ledger of what each reader has collected. As a program it is a part of ``make chaos-queue``;
with ``--faults 0`` it measures what a machine carries.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import contextlib
import json
import pathlib
import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

from faults_load import when_and_where
from faults_queue import Logged, Member, none_left
from model_sources import model_source
from queue_harness import Broker
from servers import BINARY, real_python

NAME = "chaos/streams"

#: What can happen, to whom, and how often in proportion.
FAULTS = [
    ("kill", "worker", 5),
    ("kill", "gateway", 3),
    ("kill", "broker", 1),
    ("stop", "worker", 2),
    ("stop", "gateway", 1),
]


class Event(NamedTuple):
    """One event of a stream."""

    name: str
    id: str
    data: Any


async def events_of(
    port: int, method: str, path: str, body: Any, headers: dict[str, str]
) -> AsyncIterator[Event]:
    """The events of an answer; OSError if the connection breaks, or the answer is no stream."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        text = b"" if body is None else json.dumps(body).encode()
        head = {"Host": "x", "Accept": "text/event-stream", "Connection": "close", **headers}
        head |= {"Content-Type": "application/json", "Content-Length": str(len(text))}
        lines = [f"{method} {path} HTTP/1.0", *(f"{k}: {v}" for k, v in head.items()), "", ""]
        writer.write("\r\n".join(lines).encode() + text)
        status = (await reader.readline()).split()[1:2]
        while (await reader.readline()).strip():
            pass
        if status not in ([b"200"], [b"202"]):
            raise OSError(f"it answers {status}")
        fields: dict[str, str] = {}
        while line := await reader.readline():
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name:
                fields[name] = value
            elif "event" in fields:
                yield Event(fields["event"], fields.get("id", ""), json.loads(fields["data"]))
                fields = {}
    finally:
        writer.close()


class Reader:
    """Reads one prediction to its end, at one gateway after the other."""

    def __init__(self, id: str, n: int, pause: float) -> None:
        self.id, self._input = id, {"n": n, "pause": pause}
        self.items: list[str] = []
        self.begun = 0  # how often the run began
        self.broken = 0  # connections
        self.first = 0.0  # seconds to the first item
        self.wrong = ""  # what no reader may see
        self.end: Any = None
        self._last = ""

    async def read(self, ports: list[int], dice: random.Random, limit: float) -> None:
        sent = time.monotonic()
        path, method, body = f"/predictions/{self.id}", "PUT", {"input": self._input}
        created = False
        while self.end is None and not self.wrong and time.monotonic() < sent + limit:
            if created:
                path, method, body = f"/predictions/{self.id}/stream", "GET", None
            headers = {"Last-Event-ID": self._last} if created and self._last else {}
            try:
                async for event in events_of(dice.choice(ports), method, path, body, headers):
                    created = True
                    self._take(event, sent)
            except (OSError, ValueError):
                self.broken += 1
                await asyncio.sleep(dice.uniform(0.1, 0.5))

    def _take(self, event: Event, sent: float) -> None:
        self._last = event.id or self._last
        if event.name == "start":
            self.begun, self.items = self.begun + 1, []
        elif event.name == "output":
            self.first = self.first or time.monotonic() - sent
            if event.data["index"] != len(self.items):
                self.wrong = f"item {event.data['index']} after {len(self.items)} items"
            self.items.append(event.data["chunk"])
        elif event.name == "error":
            self.wrong = f"{event.data['skipped']} events were dropped"
        elif event.name == "completed":
            self.end = event.data

    def verdict(self) -> str:
        """What became of the stream: whole, failed, or what is wrong with it."""
        if self.wrong:
            return self.wrong
        if self.end is None:
            return "no end"
        if self.end["status"] != "succeeded":
            return "failed" if self.end["error"] else "ended without a reason"
        if len({item.partition(".")[0] for item in self.items}) > 1:
            return "items of two runs"
        if self.items != self.end["output"] or len(self.items) != self._input["n"]:
            return "other items than the output"
        return "whole"


class Fleet:
    """A broker, two workers and two gateways."""

    def __init__(self, base: pathlib.Path, slots: int, recover: str) -> None:
        self._base, self._slots, self._recover = base, slots, recover
        (base / "broker").mkdir()
        self.broker = Member("broker", lambda _: Broker(base / "broker"))
        self.workers = [Member("worker", self._worker) for _ in range(2)]
        self.gateways = [Member("gateway", self._gateway) for _ in range(2)]
        for member in [*self.workers, *self.gateways]:
            member.process.wait_status("READY", 60)

    def _queue(self) -> list[str]:
        return ["--queue", self.broker.process.url, "--name", NAME, "--host", "127.0.0.1"]

    def _worker(self, port: str) -> Logged:
        directory = pathlib.Path(tempfile.mkdtemp(dir=self._base))
        (directory / "predict.py").write_text(model_source("queue/many_tokens"))
        flags = [*self._queue(), "--port", port, "--max-concurrency", str(self._slots)]
        flags += ["--max-attempts", "100", "--recover", self._recover]
        return Logged(BINARY, directory, real_python(), flags)

    def _gateway(self, port: str) -> Logged:
        directory = pathlib.Path(tempfile.mkdtemp(dir=self._base))
        command = [str(BINARY), "gateway", "--port", port, *self._queue()]
        return Logged(BINARY, directory, "", (), command=command)

    def break_for(self, over: threading.Event, faults: int, dice: random.Random) -> int:
        """Do something to a member every few seconds, first kill a worker; return how often."""
        done = 0
        while done < faults and not over.wait(
            dice.uniform(0.5, 1.5) if done == 0 else dice.uniform(1, 4)
        ):
            what, whom, _ = dice.choices(FAULTS, [share for *_, share in FAULTS])[0]
            if done == 0:
                what, whom = "kill", "worker"
            members = {"worker": self.workers, "gateway": self.gateways, "broker": [self.broker]}
            member = dice.choice(members[whom])
            if what == "kill":
                member.kill()
            else:
                member.stop(dice.uniform(0.5, 3), model_too=dice.random() < 0.5)
            done += 1
        return done


class Ledger(NamedTuple):
    """What became of all streams."""

    verdicts: collections.Counter[str]
    started_again: int  # streams with more than one run
    resumed: int  # streams with more than one connection
    killed: int  # or stopped for a while
    tokens: int
    seconds: float
    first: list[float]

    def good(self) -> bool:
        return set(self.verdicts) <= {"whole", "failed"}

    def __str__(self) -> str:
        first = sorted(self.first) or [0.0]
        return (
            f"  {sum(self.verdicts.values()):,} streams in {self.seconds:.0f} s, {self.killed} faults: "
            + ", ".join(f"{count:,} {verdict}" for verdict, count in self.verdicts.most_common())
            + f"\n  {self.started_again:,} started again, {self.resumed:,} were resumed; "
            f"{self.tokens / self.seconds:,.0f} tokens/s; first token p50 "
            f"{statistics.median(first) * 1e3:.0f} ms, p99 {first[len(first) * 99 // 100] * 1e3:.0f} ms"
        )


async def read_all(
    readers: list[Reader], ports: list[int], dice: random.Random, over: float, limit: float
) -> None:
    """Start all readers within some seconds, and wait until each has ended."""

    async def one(reader: Reader) -> None:
        await asyncio.sleep(dice.uniform(0, over))
        await asyncio.wait_for(reader.read(ports, dice, limit), limit + 30)

    await asyncio.gather(*(one(reader) for reader in readers), return_exceptions=True)


def hold(
    streams: int,
    n: int = 100,
    pause: float = 0.02,
    faults: int = 4,
    recover: str = "rerun",
    seed: int = 1,
    limit: float = 120,
) -> Ledger:
    """Read so many streams while members are killed."""
    dice = random.Random(seed)
    with tempfile.TemporaryDirectory() as base, none_left(), contextlib.ExitStack() as stack:
        # One worker has slots for two thirds of them, so that each of the two has some to lose.
        fleet = Fleet(pathlib.Path(base), -(-streams * 2 // 3), recover)
        ports = [int(member.port) for member in fleet.gateways]
        readers = [Reader(f"s{seed}-{number}", n, pause) for number in range(streams)]
        over, killed = threading.Event(), [0]

        def break_it() -> None:
            killed[0] = fleet.break_for(over, faults, dice)

        breaking = threading.Thread(target=break_it)
        stack.callback(breaking.join)
        stack.callback(over.set)
        begin = time.monotonic()
        breaking.start()
        asyncio.run(read_all(readers, ports, random.Random(seed), min(5, streams / 50), limit))
        seconds = time.monotonic() - begin
    return Ledger(
        verdicts=collections.Counter(reader.verdict() for reader in readers),
        started_again=sum(reader.begun > 1 for reader in readers),
        resumed=sum(reader.broken > 0 for reader in readers),
        killed=killed[0],
        tokens=sum(len(reader.items) for reader in readers),
        seconds=seconds,
        first=[reader.first for reader in readers if reader.first],
    )


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("streams", type=int, nargs="?", default=200)
    options.add_argument("--tokens", type=int, default=500, help="of each stream")
    options.add_argument("--rate", type=float, default=50, help="tokens a second of each stream")
    options.add_argument("--faults", type=int, default=8)
    options.add_argument("--recover", default="rerun", choices=["rerun", "fail"])
    options.add_argument("--seed", type=int, default=1)
    given = options.parse_args()
    print(f"streams {given.streams:,}: {when_and_where()}", flush=True)
    ledger = hold(
        given.streams,
        given.tokens,
        1 / given.rate,
        given.faults,
        given.recover,
        given.seed,
        limit=300 + given.tokens / given.rate,
    )
    print(ledger, flush=True)
    return int(not ledger.good())


if __name__ == "__main__":
    sys.exit(main())
