"""RQ with Redis. Its settings and why, by python-rq.org:

- ``Retry(max=3)``: a job whose worker was lost runs again ("Retrying failed jobs"); without it
  such a job fails.
- The worker's ``--maintenance-interval`` and ``--job-monitoring-interval`` ("Workers"): how often
  lost jobs are looked for, and how often a worker says that its job runs. The defaults are 10
  minutes and 30 s.
- The default worker, which forks for each job; only it can stop a job that runs.
"""

from __future__ import annotations

import os
import time
from typing import Any

import work as tasks
from redis import Redis
from rq import Queue, Retry
from rq.command import send_stop_job_command
from rq.job import Job


class Client:
    def __init__(self) -> None:
        self.redis = Redis.from_url(os.environ["REDIS_URL"])
        self.queue = Queue(connection=self.redis)

    def submit(self, name: str, seconds: float) -> Any:
        retry = Retry(max=3)
        return self.queue.enqueue(
            tasks.work, name, seconds, retry=retry, job_timeout=600, result_ttl=3600
        )

    def wait(self, handle: Any, seconds: float) -> Any:
        deadline = time.monotonic() + seconds
        # Each wait is shorter than the 5 s after which redis-py gives up on a silent server.
        while (found := handle.latest_result(timeout=2)) is None:
            if time.monotonic() > deadline:
                raise TimeoutError
        if found.type != found.Type.SUCCESSFUL:
            raise RuntimeError(f"{found.type.name} {(found.exc_string or '').strip()[-200:]}")
        return found.return_value

    def again(self, handle: Any) -> Any:
        return Job.fetch(handle.id, self.redis).latest_result().return_value

    def cancel(self, handle: Any) -> None:
        send_stop_job_command(self.redis, handle.id)
