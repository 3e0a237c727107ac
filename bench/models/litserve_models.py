"""The same work for LitServe. The variable MODEL names the class."""

import asyncio
import os
import sys

import litserve


class Noop(litserve.LitAPI):
    def setup(self, device):
        pass

    def decode_request(self, request):
        return request["input"]["name"]

    def predict(self, name):
        return "hello " + name

    def encode_response(self, output):
        return {"output": output}


class AsyncNoop(Noop):
    async def decode_request(self, request):
        return request["input"]["name"]

    async def predict(self, name):
        return "hello " + name

    async def encode_response(self, output):
        return {"output": output}


class AsyncSleep(AsyncNoop):
    async def predict(self, name):
        await asyncio.sleep(0.05)
        return "hello " + name


if __name__ == "__main__":
    api = globals()[os.environ["MODEL"]]
    is_async = os.environ["MODEL"].startswith("Async")
    server = litserve.LitServer(api(enable_async=is_async), accelerator="cpu")
    server.run(
        port=int(sys.argv[1]), host="127.0.0.1", log_level="warning", generate_client_file=False
    )
