"""Runs models in the style of public ones under Coggo, cog 0.16 and cog 0.23: part of `make
compat`.

The tables in public/ have the correct answers. Coggo must give all of them, and so must the others,
except where a table says that one differs or refuses the model. The script checks the exceptions
too, so that none outlives its reason. An answer 500 is only counted: cog 0.16 gives one when a
default does not fit its input. Its pydantic is version 1, as when most such models were written:
with version 2 it answers 500 to any default None of a type that is not Optional.
"""

from __future__ import annotations

import base64
import concurrent.futures
import http.client
import http.server
import io
import json
import pathlib
import re
import sys
import tarfile
import tempfile
import threading
import time
import urllib.parse
import zipfile
from typing import Any

from peers import Server, cog_016, cog_023, coggo
from PIL import Image
from tables import Model, Request, models

NAMES = ("coggo", "0.16", "0.23")


def downloads() -> dict[str, bytes]:
    """The files that are served at ``{files}``."""
    special = json.dumps({"TOK": "<s0><s1>"}).encode()
    tar, zipped, photo = io.BytesIO(), io.BytesIO(), io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        info = tarfile.TarInfo("special_params.json")
        info.size = len(special)
        archive.addfile(info, io.BytesIO(special))
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("1.txt", "one")
        archive.writestr("2.txt", "two")
    Image.linear_gradient("L").resize((4, 4)).save(photo, "PNG")
    return {
        "/trained.txt": b"trained",
        "/lora.tar": tar.getvalue(),
        "/pictures.zip": zipped.getvalue(),
        "/photo.png": photo.getvalue(),
        "/rows.jsonl": b'{"text": "a"}\n{"text": "b"}\n',
    }


def serve_downloads() -> http.server.ThreadingHTTPServer:
    files = downloads()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = files.get(self.path)
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *args: Any) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def shown(value: Any) -> Any:
    """An output with files as the tables write them, and numbers as in JSON: 1.0 is 1."""
    if isinstance(value, dict):
        return {key: shown(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shown(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and value.startswith("data:"):
        kind, _, data = value.partition(",")
        content = (
            base64.b64decode(data)
            if kind.endswith(";base64")
            else urllib.parse.unquote_to_bytes(data)
        )
        return f"{kind.removesuffix(';base64')},{text_of(content)}"
    return value


def text_of(content: bytes) -> str:
    if content.startswith(b"\x89PNG"):
        return "({}x{})".format(*Image.open(io.BytesIO(content)).size)
    return content.decode(errors="replace")


def refused_inputs(detail: Any) -> list[str]:
    """The names of the inputs in a 422."""
    if isinstance(detail, list):
        return sorted(
            {problem["loc"][2].partition("/")[0] for problem in detail if len(problem["loc"]) > 2}
        )
    return sorted(set(re.findall(r"^(?:- )?(\w+)[/:]", str(detail), flags=re.MULTILINE)))


def essence(error: str) -> str:
    """The text of an exception. For one without text cog shows nothing, and Coggo its class.

    Names of temporary files differ, and cog 0.23 begins with the place and the class of the error.
    """
    error = re.sub(r"'/[^']*'", "a file", error)
    error = re.sub(r"^([A-Z][a-z]+( [a-z]+)* (failed|error): )+\w+: ", "", error)
    return re.sub(r"^\w+(Error|Exception)$", "", error)


def seen(want: dict[str, Any], answer: tuple[int, Any]) -> dict[str, Any]:
    """An answer in the words of the tables, with those logs and metrics that ``want`` has."""
    status, body = answer
    if status == 422:
        return {"detail": refused_inputs(body.get("detail"))}
    if status != 200 or "status" not in body:
        return {"status": status, "body": body}
    succeeded = body["status"] == "succeeded"
    found = (
        {"output": shown(body.get("output"))}
        if succeeded
        else {"error": essence(body.get("error") or "")}
    )
    if "logs" in want:
        found["logs"] = (
            want["logs"] if want["logs"] in (body.get("logs") or "") else body.get("logs")
        )
    if "metrics" in want:
        found["metrics"] = shown(
            {name: (body.get("metrics") or {}).get(name) for name in want["metrics"]}
        )
    return found


def patiently(server: Server, path: str, body: Any) -> tuple[int, Any]:
    """Ask until it accepts a request: cog 0.23 refuses one that comes right after the answer to the
    last.
    """
    answer = server.ask("POST", path, body)
    end = time.monotonic() + 5
    while answer[0] == 409 and time.monotonic() < end:
        time.sleep(0.02)
        answer = server.ask("POST", path, body)
    return answer


class Comparison:
    """One model under all servers."""

    def __init__(self, model: Model, files: str, python_023: str) -> None:
        self.model, self.files, self.python_023 = model, files, python_023
        self.problems: list[str] = []
        self.same = dict.fromkeys(NAMES, 0)
        self.broken = dict.fromkeys(NAMES, 0)
        self.servers: list[Server] = []

    def run(self) -> Comparison:
        with tempfile.TemporaryDirectory(prefix="compat-") as directory:
            try:
                self._compare(pathlib.Path(directory))
            finally:
                for server in self.servers:
                    server.process.terminate()
                for server in self.servers:
                    server.close()
        return self

    def _compare(self, directory: pathlib.Path) -> None:
        model = self.model
        places = {
            name: directory / name for name in ("coggo", "0.16", "0.16 train", "0.23", "0.23 train")
        }
        for place in places.values():
            model.write(place)
        env = (
            dict([self._filled(model.options["env"]).split("=", 1)])
            if "env" in model.options
            else {}
        )
        self.servers = [cog_016(places["0.16"], env), coggo(places["coggo"], env)]
        old, here = self.servers
        old_trainer = old
        ready, logs = here.wait()
        if not ready:
            self.problems.append(f"coggo refuses it: {logs[-600:]}")
        elif model.options.get("warns", "") not in logs:
            self.problems.append(f"coggo does not warn of {model.options['warns']}: {logs}")
        document = here.ask("GET", "/openapi.json")[1] if ready else None
        new = new_trainer = cog_023(self.python_023, places["0.23"], env, model.ref, document)
        self.servers.append(new)
        if model.train:  # cog has a server of its own for it
            old_trainer = cog_016(places["0.16 train"], env, "train")
            new_trainer = cog_023(
                self.python_023, places["0.23 train"], env, model.train, document, "train"
            )
            self.servers += [old_trainer, new_trainer]
        if ready:
            self._ask("coggo", here, here)
        for name, predicting, training in (("0.16", old, old_trainer), ("0.23", new, new_trainer)):
            try:
                starts = predicting.wait()[0] and training.wait()[0]
            except TimeoutError as error:
                self.problems.append(f"{name} {error}")
                continue
            if starts != (name not in model.refuses):
                self.problems.append(f"{name} {'starts it by now' if starts else 'refuses it'}")
            elif starts:
                self._ask(name, predicting, training)

    def _ask(self, name: str, predicting: Server, training: Server) -> None:
        for request in self.model.requests:
            server, path, body = predicting, "/predictions", request.body
            if "train" in body:
                server, path, body = training, "/trainings", {"input": body["train"]}
            sent = json.loads(self._filled(json.dumps(body)))
            try:
                found = seen(request.want, patiently(server, path, sent))
            except (OSError, http.client.HTTPException) as error:
                found = {"nothing": str(error)}
            self._judge(name, request, found)

    def _judge(self, name: str, request: Request, found: dict[str, Any]) -> None:
        if found.get("status") == 500 and name != "coggo":
            self.broken[name] += 1
            return
        right = json.dumps(found, sort_keys=True) == json.dumps(shown(request.want), sort_keys=True)
        self.same[name] += right
        if right and name in request.differs:
            self.problems.append(
                f"{name} does not differ any more: {json.dumps(request.body)[:300]}"
            )
        elif not right and name not in request.differs:
            sent, want, got = (
                json.dumps(part)[:500] for part in (request.body, request.want, found)
            )
            self.problems.append(f"{name} differs: {sent}\n    want {want}\n    got  {got}")

    def _filled(self, text: str) -> str:
        return text.replace("{files}", self.files)


def main() -> int:
    python_023, *words = str(pathlib.Path(sys.argv[1]).absolute()), *sys.argv[2:]
    chosen = [model for model in models() if all(word in model.title for word in words)]
    downloader = serve_downloads()
    files = f"http://127.0.0.1:{downloader.server_address[1]}"
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        done = []
        for comparison in pool.map(
            lambda model: Comparison(model, files, python_023).run(), chosen
        ):
            done.append(comparison)
            for problem in comparison.problems:
                print(f"{comparison.model.title}: {problem}", flush=True)
    downloader.shutdown()
    asked = sum(len(model.requests) for model in chosen)
    print(f"{len(chosen)} models, {asked} requests")
    for name in NAMES:
        same, broken = (sum(getattr(c, count)[name] for c in done) for count in ("same", "broken"))
        print(f"  {name}: {same} right, {broken} answered with 500")
    return 1 if any(comparison.problems for comparison in done) else 0


if __name__ == "__main__":
    sys.exit(main())
