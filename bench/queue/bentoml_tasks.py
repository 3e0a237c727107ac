"""BentoML's tasks, by docs.bentoml.com, "Async task queues". The server itself keeps the tasks; the
page says that this is for development, and that the queue of BentoCloud is another.

- ``workers=2``: two processes, each of which runs one synchronous task at a time. A connection
  stays with one of them, so there are several clients.
- Its log of each request is off ("Configure logging").
- A client asks for the status until the task has ended, as the page shows.
"""

from __future__ import annotations

import itertools
import os
import time
from typing import Any

import bentoml
import work as tasks


@bentoml.service(workers=2, traffic={"timeout": 600}, logging={"access": {"enabled": False}})
class Work:
    @bentoml.task
    def work(self, name: str, seconds: float = 0.0) -> str:
        return tasks.work(name, seconds)


class Client:
    def __init__(self) -> None:
        url = "http://127.0.0.1:" + os.environ["GATEWAY_PORT"]
        clients = [bentoml.SyncHTTPClient(url, server_ready_timeout=60) for _ in range(8)]
        for client in clients:
            client._opened_files = []  # which submit of 1.4.40 expects and nothing sets
        self.clients = itertools.cycle(clients)

    def submit(self, name: str, seconds: float) -> Any:
        return next(self.clients).work.submit(name=name, seconds=seconds)

    def wait(self, handle: Any, seconds: float) -> Any:
        deadline = time.monotonic() + seconds
        while handle.get_status().value == "in_progress":
            if time.monotonic() > deadline:
                raise TimeoutError
            time.sleep(0.001)
        return self.again(handle)

    def again(self, handle: Any) -> Any:
        found = handle.get()
        return found if isinstance(found, str) else found.decode()

    def cancel(self, handle: Any) -> None:
        raise NotImplementedError("the server answers that it does not support it")
