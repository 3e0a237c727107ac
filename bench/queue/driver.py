"""Be the client of one queue: ``driver.py MODULE`` reads commands as lines of JSON, and answers
each with a line. ``bench/queueclient.go`` starts it and says what to do.

MODULE has a class ``Client`` with the client library of the queue:

- ``submit(name, seconds)`` returns a handle as soon as the queue has taken the task,
- ``wait(handle, seconds)`` returns the output. It raises TimeoutError if the task has not ended
  within these seconds, and another exception if it failed,
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
from collections.abc import Callable
from typing import Any


class Driver:
    def __init__(self, client: Any) -> None:
        self.client = client
        self.call = getattr(client, "call", lambda name: client.submit(name, 0.0))
        self.result = getattr(client, "result", client.wait)
        self.begun: dict[str, Any] = {}  # the handles of tasks by name

    def run(self, n: int, in_flight: int, limit: float) -> dict[str, Any]:
        """Keep ``in_flight`` no-ops under way. More threads would wait for each other."""
        waiting: collections.deque[tuple[str, float, Any]] = collections.deque()
        took, ends = [], {}
        begin = time.perf_counter()
        for number in range(n + in_flight):
            if len(waiting) == in_flight or (number >= n and waiting):
                name, sent, handle = waiting.popleft()
                ends[name] = end(self.result, handle, begin + limit)
                took.append(time.perf_counter() - sent)
            if number < n:
                name = f"n{number}"
                waiting.append((name, time.perf_counter(), self.call(name)))
        return {"took": took, "seconds": time.perf_counter() - begin, **missed(ends)}

    def pile(self, n: int, limit: float) -> dict[str, Any]:
        """Submit no-ops as fast as the queue takes them, and then wait for all of them."""
        begin = time.perf_counter()
        handles = {name: self.client.submit(name, 0.0) for name in (f"n{i}" for i in range(n))}
        accepted = time.perf_counter() - begin
        ends = {name: end(self.client.wait, handles[name], begin + limit) for name in handles}
        seconds = time.perf_counter() - begin
        return {"accepted": accepted, "seconds": seconds, **missed(ends)}

    def begin(self, names: list[str], seconds: float) -> dict[str, Any]:
        for name in names:
            self.begun[name] = self.client.submit(name, seconds)
        return {}

    def ends(self, names: list[str], limit: float) -> dict[str, Any]:
        """Wait for tasks."""
        deadline = time.perf_counter() + limit
        return {"ends": {name: end(self.client.wait, self.begun[name], deadline) for name in names}}

    def again(self, names: list[str]) -> dict[str, Any]:
        ends = {}
        for name in names:
            try:
                ends[name] = self.client.again(self.begun[name])
            except Exception as failed:
                ends[name] = f"error: {told(failed)}"
                print("again:", name, ends[name], file=sys.stderr)
        return {"ends": ends}

    def cancel(self, name: str) -> dict[str, Any]:
        try:
            self.client.cancel(self.begun[name])
        except NotImplementedError as missing:
            return {"unable": str(missing)}
        return {}


def end(wait: Callable[[Any, float], Any], handle: Any, deadline: float) -> Any:
    """Return the output of a task, an empty text if it has no end, or an error if it failed."""
    try:
        return wait(handle, max(0.2, deadline - time.perf_counter()))
    except TimeoutError:
        return ""
    except Exception as failed:  # each library has its own for a task that failed
        print(told(failed), file=sys.stderr)
        return f"error: {told(failed)}"


def missed(ends: dict[str, Any]) -> dict[str, int]:
    """Count the no-ops that have no end, or a wrong one."""
    unended = sum(found == "" for found in ends.values())
    wrong = sum(found not in ("", "hello " + name) for name, found in ends.items())
    return {"unended": unended, "wrong": wrong}


def told(failed: BaseException) -> str:
    """Describe an exception and what caused it."""
    text = f"{type(failed).__name__}: {failed}"
    return f"{text}, because of {told(failed.__cause__)}" if failed.__cause__ else text


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
            answer = {"error": told(failed)}
        print(json.dumps(answer), file=answers)


if __name__ == "__main__":
    main()
