"""The same work for mosec. The variable MODEL names the class."""

import os
import time

from mosec import Server, Worker


class Noop(Worker):
    def forward(self, data):
        return {"output": "hello " + data["input"]["name"]}


class Batched(Worker):
    def forward(self, data):
        return [{"output": "hello " + item["input"]["name"]} for item in data]


class Batched16(Batched):
    pass


class BatchedSleep(Worker):
    def forward(self, data):
        time.sleep(0.05)
        return [{"output": "hello " + item["input"]["name"]} for item in data]


class TextIn(Worker):
    def forward(self, data):
        return {"output": str(len(data["input"]["text"]))}


class TextOut(Worker):
    def forward(self, data):
        return {"output": "x" * data["input"]["size"]}


if __name__ == "__main__":
    model = os.environ["MODEL"]
    server = Server()
    if model.startswith("Batched"):
        server.append_worker(
            globals()[model], max_batch_size=16 if model == "Batched16" else 64, max_wait_time=5
        )
    else:
        server.append_worker(globals()[model])
    server.run()
