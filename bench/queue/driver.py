"""Be the client of one queue: ``driver.py MODULE`` reads commands as lines of JSON, and answers
each with a line. ``bench/queueclient.go`` starts it and says what to do.

MODULE has a class ``Client`` with the client library of the queue:

- ``submit(name, seconds)`` returns a handle as soon as the queue has taken the task,
- ``wait(handle, seconds)`` returns the output, or raises if the task failed or has not ended,
- ``again(handle)`` reads the output again,
- ``cancel(handle)`` asks the queue to cancel the task, and raises NotImplementedError if it can't,
- ``call(name)`` and ``result(handle)``, if it has them, are the ``submit`` and ``wait`` of a client
  that waits for the output.
"""

from __future__ import annotations

import collections
import importlib
import json
import os
import sys
import time
from typing import Any


class Driver:
    def __init__(self, client: Any) -> None:
        self.client = client
        self.call = getattr(client, "call", lambda name: client.submit(name, 0.0))
        self.result = getattr(client, "result", lambda handle: client.wait(handle, 60))
        self.begun: dict[str, Any] = {}  # the handles of tasks by name

    def run(self, n: int, in_flight: int) -> dict[str, Any]:
        """Keep ``in_flight`` no-ops under way. More threads would wait for each other."""
        waiting: collections.deque[tuple[str, float, Any]] = collections.deque()
        took, wrong = [], 0
        begin = time.perf_counter()
        for number in range(n + in_flight):
            if len(waiting) == in_flight or (number >= n and waiting):
                name, sent, handle = waiting.popleft()
                wrong += self.result(handle) != "hello " + name
                took.append(time.perf_counter() - sent)
            if number < n:
                name = f"n{number}"
                waiting.append((name, time.perf_counter(), self.call(name)))
        return {"took": took, "wrong": wrong, "seconds": time.perf_counter() - begin}

    def pile(self, n: int) -> dict[str, Any]:
        """Submit no-ops as fast as the queue takes them, and then wait for all of them."""
        begin = time.perf_counter()
        handles = [self.client.submit(f"n{number}", 0.0) for number in range(n)]
        accepted = time.perf_counter() - begin
        wrong = sum(
            self.client.wait(handle, 300) != f"hello n{number}"
            for number, handle in enumerate(handles)
        )
        return {"accepted": accepted, "wrong": wrong, "seconds": time.perf_counter() - begin}

    def begin(self, names: list[str], seconds: float) -> dict[str, Any]:
        for name in names:
            self.begun[name] = self.client.submit(name, seconds)
        return {}

    def ends(self, names: list[str], limit: float) -> dict[str, Any]:
        """Wait for tasks; those without an end have an empty text, and failed ones an error."""
        deadline = time.monotonic() + limit
        ends = {}
        for name in names:
            try:
                left = max(0.2, deadline - time.monotonic())
                ends[name] = self.client.wait(self.begun[name], left)
            except TimeoutError:
                ends[name] = ""
            except Exception as failed:  # each library has its own for a task that failed
                ends[name] = f"error: {type(failed).__name__} {failed}"
                print(name, ends[name], file=sys.stderr)
        return {"ends": ends}

    def again(self, names: list[str]) -> dict[str, Any]:
        ends = {}
        for name in names:
            try:
                ends[name] = self.client.again(self.begun[name])
            except Exception as failed:
                ends[name] = f"error: {type(failed).__name__} {failed}"
                print("again:", name, ends[name], file=sys.stderr)
        return {"ends": ends}

    def cancel(self, name: str) -> dict[str, Any]:
        try:
            self.client.cancel(self.begun[name])
        except NotImplementedError as missing:
            return {"unable": str(missing)}
        return {}


def main() -> None:
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # a library may print, which is not an answer
    driver = Driver(importlib.import_module(sys.argv[1]).Client())
    print("{}", file=answers)
    for line in sys.stdin:
        command = json.loads(line)
        try:
            answer = getattr(driver, command.pop("do"))(**command)
        except Exception as failed:
            answer = {"error": f"{type(failed).__name__}: {failed}"}
        print(json.dumps(answer), file=answers)


if __name__ == "__main__":
    main()
