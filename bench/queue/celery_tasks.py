"""Celery with Redis. Its settings and why, by docs.celeryq.dev:

- ``task_acks_late`` and ``task_reject_on_worker_lost``: a task of a lost worker runs again
  ("Tasks", and "Should I use retry or acks_late?" of the FAQ).
- ``worker_prefetch_multiplier`` 1: tasks wait in the broker, not in a busy worker ("Optimizing").
- ``visibility_timeout``: after that long without an acknowledgement Redis gives the task to another
  worker, so it has to be longer than any task. The page "Using Redis" sets it in three places. Its
  default is one hour, which is how long a lost task would wait; 10 s is what Coggo's broker waits.
- ``prefork``, the default pool, with one process: the only one whose running tasks can be revoked.
"""

from __future__ import annotations

import os
from typing import Any

import work as tasks
from celery import Celery
from celery.exceptions import TimeoutError as NotYet

URL, PATIENCE = os.environ["REDIS_URL"], 10

app = Celery("bench", broker=URL, backend=URL)
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    worker_concurrency=1,
    broker_transport_options={"visibility_timeout": PATIENCE},
    result_backend_transport_options={"visibility_timeout": PATIENCE},
    visibility_timeout=PATIENCE,
    broker_connection_retry_on_startup=True,
)


@app.task
def work(name: str, seconds: float = 0.0) -> str:
    return tasks.work(name, seconds)


class Client:
    def submit(self, name: str, seconds: float) -> Any:
        return work.delay(name, seconds)

    def wait(self, handle: Any, seconds: float) -> Any:
        try:
            return handle.get(timeout=seconds)
        except NotYet:
            raise TimeoutError from None

    def again(self, handle: Any) -> Any:
        return app.AsyncResult(handle.id).get(timeout=5)  # a new one, as a result keeps its value

    def cancel(self, handle: Any) -> None:
        handle.revoke(terminate=True)
