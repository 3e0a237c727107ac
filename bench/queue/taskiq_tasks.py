"""taskiq with NATS JetStream, the broker of Coggo. Its settings and why, by taskiq-python.github.io
and the page of taskiq-nats:

- ``PullBasedJetStreamBroker``: each worker asks for the next task.
- ``ack_wait`` of its consumer: how long the broker waits for an acknowledgement. Its default is
  30 s; 10 s is what Coggo sets.
- ``NATSObjectStoreResultBackend`` keeps results in the same broker.
- ``check_interval``: a client asks for a result every so often, by default every 0.2 s.
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

import work as tasks
from nats.js.api import ConsumerConfig
from taskiq import ResultIsReadyError, TaskiqResultTimeoutError
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
        while True:
            waits = handle.wait_result(check_interval=0.001, timeout=seconds)
            try:
                return self.loop.run_until_complete(waits).return_value
            except TaskiqResultTimeoutError:
                raise TimeoutError from None
            except ResultIsReadyError:  # the broker was busy; the client asks again
                if time.monotonic() > deadline:
                    raise

    def again(self, handle: Any) -> Any:
        return self.loop.run_until_complete(asyncio.wait_for(handle.get_result(), 10)).return_value

    def cancel(self, handle: Any) -> None:
        raise NotImplementedError("taskiq has no cancel")
