"""taskiq with NATS JetStream, the broker of Coggo. Its settings and why, by taskiq-python.github.io
and the page of taskiq-nats:

- ``PullBasedJetStreamBroker``: each worker asks for the next task.
- ``ack_wait`` of its consumer: how long the broker waits for an acknowledgement. Its default is
  30 s; 10 s is what Coggo sets.
- ``NATSObjectStoreResultBackend`` keeps results in the same broker, by default without
  a limit of size or time.
- ``check_interval``: a client asks for a result every so often, by default every 0.2 s.
- ``wait_result`` gives up when the broker has not answered one of these questions for 5 s. That
  loses no result, so the client asks again. A worker whose result the broker has not taken for 5 s
  logs that and acknowledges the task, which then has no end.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from typing import Any

import work as tasks
from nats.js.api import ConsumerConfig
from taskiq import TaskiqResultTimeoutError
from taskiq.exceptions import ResultBackendError
from taskiq_nats import NATSObjectStoreResultBackend, PullBasedJetStreamBroker

URL = os.environ["NATS_URL"]

broker = PullBasedJetStreamBroker(
    servers=URL, durable="bench", consumer_config=ConsumerConfig(ack_wait=10)
).with_result_backend(NATSObjectStoreResultBackend(servers=URL))


@broker.task
async def work(name: str, seconds: float = 0.0) -> str:
    if not seconds:
        return tasks.work(name)
    with tasks.noted(name) as run:
        await asyncio.sleep(seconds)
    return run


class Client:
    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.loop.run_until_complete(broker.startup())

    def submit(self, name: str, seconds: float) -> Any:
        return self.loop.run_until_complete(work.kiq(name, seconds))

    def wait(self, handle: Any, seconds: float) -> Any:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            patience = min(left, 10)
            waits = handle.wait_result(check_interval=0.001, timeout=patience)
            try:  # wait_result looks at its timeout between questions only
                found = self.loop.run_until_complete(asyncio.wait_for(waits, patience + 1))
            except (asyncio.TimeoutError, TaskiqResultTimeoutError):
                continue
            except ResultBackendError as failed:
                print(f"{failed}, because of {failed.__cause__!r}", file=sys.stderr)
                time.sleep(0.01)
                continue
            if found.is_err:
                raise RuntimeError(found.error)
            return found.return_value
        raise TimeoutError

    def again(self, handle: Any) -> Any:
        return self.wait(handle, 10)

    def cancel(self, handle: Any) -> None:
        raise NotImplementedError("taskiq has no cancel")
