"""Ray Serve's asynchronous inference with Redis, by docs.ray.io, "Asynchronous inference" (alpha).
Celery is inside. Its settings and why:

- ``num_replicas=2, max_ongoing_requests=1``: two workers that run one task at a time.
- The adapter itself sets late acknowledgement and gives back the tasks of a lost worker.
- ``visibility_timeout`` and the prefetch of 1 are those of Celery here, see celery_tasks.py.
- A client asks for the status until the task has ended, as the page shows.
"""

from __future__ import annotations

import os
import time
from typing import Any

import work as tasks
from ray import serve
from ray.serve.schema import CeleryAdapterConfig, TaskProcessorConfig
from ray.serve.task_consumer import (
    instantiate_adapter_from_config,
    task_consumer,
    task_handler,
)

URL, PATIENCE = os.environ["REDIS_URL"], 10

CONFIG = TaskProcessorConfig(
    queue_name="bench",
    adapter_config=CeleryAdapterConfig(
        broker_url=URL,
        backend_url=URL,
        broker_transport_options={"visibility_timeout": PATIENCE},
        app_custom_config={
            "worker_prefetch_multiplier": 1,
            "visibility_timeout": PATIENCE,
            "result_backend_transport_options": {"visibility_timeout": PATIENCE},
        },
    ),
)


@serve.deployment(num_replicas=2, max_ongoing_requests=1)
@task_consumer(task_processor_config=CONFIG)
class Worker:
    @task_handler(name="work")
    def work(self, name: str, seconds: float = 0.0) -> str:
        return tasks.work(name, seconds)


class Client:
    def __init__(self) -> None:
        self.adapter = instantiate_adapter_from_config(task_processor_config=CONFIG)

    def submit(self, name: str, seconds: float) -> str:
        return self.adapter.enqueue_task_sync(task_name="work", args=[name, seconds]).id

    def wait(self, id: str, seconds: float) -> Any:
        deadline = time.monotonic() + seconds
        while (found := self.adapter.get_task_status_sync(id)).status in ("PENDING", "STARTED"):
            if time.monotonic() > deadline:
                raise TimeoutError
            time.sleep(0.001)
        if found.status != "SUCCESS":
            raise RuntimeError(f"{found.status} {found.result}")
        return self.again(id)  # it reads the output before the status, so that may be of before

    def again(self, id: str) -> Any:
        return self.adapter.get_task_status_sync(id).result

    def cancel(self, id: str) -> None:
        self.adapter.cancel_task_sync(id)


if __name__ == "__main__":
    import ray

    ray.init(num_cpus=2, include_dashboard=False, _temp_dir=os.environ["LEDGER"] + "/ray")
    serve.start(http_options={"location": "NoServer"})
    serve.run(Worker.bind(), blocking=True)
