"""Section 9, outputs: what has ended does not change, whatever the model still does with its files;
and what is removed.
"""

from __future__ import annotations

import base64
import threading

import pytest

from http_harness import Reply
from waiting import until

SIZE = 2 << 20  # such files stay on disk until they are asked for

#: What a model keeps in the temporary directory goes with it.
LEAVE = """
import atexit, shutil
atexit.register(lambda: [shutil.rmtree(path) for path in pathlib.Path(tempfile.gettempdir()).iterdir()])
"""

MODEL = """
import asyncio, mmap, os, pathlib, shutil, subprocess, sys, tempfile, threading, time
from typing import Any
from cog import BasePredictor, Path

SIZE = 2 << 20
here = tempfile.mkdtemp()
LEAVE

def make(letter, name="out.bin"):
    path = os.path.join(tempfile.mkdtemp(), name)
    with open(path, "wb") as out:
        out.write(letter.encode() * SIZE)
    return path

class Predictor(BasePredictor):
    def setup(self):
        self.path = make("-", "of-setup.bin")
        self.fd = os.open(self.path, os.O_RDWR)
        self.kept = []  # what the model keeps of its runs
        self.child = None

    def predict(self, how: str = "", letter: str = "a", path: Path = None) -> Any:
        text = letter.encode() * SIZE
        if how == "overwrite":
            for one in self.kept:
                one(text)
            return "done"
        if how == "of setup":
            os.pwrite(self.fd, text, 0)
            return Path(self.path)
        if how == "given":
            self.kept.append(pathlib.Path(path).write_bytes)
            return path
        made = make(letter)
        if how == "descriptor":
            fd = os.open(made, os.O_WRONLY)
            self.kept.append(lambda text: os.pwrite(fd, text, 0))
        if how == "descriptor for reading":
            fd = os.open(made, os.O_RDONLY)
            self.kept.append(lambda text: os.pwrite(os.open(f"/proc/self/fd/{fd}", os.O_WRONLY), text, 0))
        if how == "buffered":
            out = open(made, "r+b", buffering=SIZE * 2)
            self.kept.append(lambda text: (out.write(text), out.flush()))
            return out
        if how == "mapping":
            with open(made, "r+b") as out:
                mapped = mmap.mmap(out.fileno(), SIZE)
            self.kept.append(lambda text: mapped.__setitem__(slice(None), text))
        if how == "hard link":
            other = os.path.join(here, f"link-{len(self.kept)}")
            os.link(made, other)
            self.kept.append(pathlib.Path(other).write_bytes)
        if how == "thread":
            go = threading.Event()
            def later():
                with open(made, "r+b") as out:
                    ready.set()
                    go.wait()
                    out.write(b"x" * SIZE)
                done.set()
            ready, done = threading.Event(), threading.Event()
            threading.Thread(target=later, daemon=True).start()
            ready.wait()
            self.kept.append(lambda text: (go.set(), done.wait()))
        if how == "child":
            fd = os.open(made, os.O_WRONLY)
            code = f"import os, sys; sys.stdin.read(1); os.write({fd}, b'x' * {SIZE})"
            child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, pass_fds=[fd])
            os.close(fd)
            self.kept.append(lambda text: child.communicate(b"x"))
        if how == "list":
            fd = os.open(made, os.O_WRONLY)
            self.kept.append(lambda text: os.pwrite(fd, text, 0))
            return {"deep": [Path(made)]}
        return Path(made)
"""


@pytest.fixture(scope="module")
def server(start_once):
    return start_once(MODEL.replace("LEAVE", LEAVE))


def contents(url):
    return base64.b64decode(url.partition(",")[2], validate=True)


HOWS = [
    "",
    "descriptor",
    "descriptor for reading",
    "buffered",
    "mapping",
    "hard link",
    "thread",
    "child",
    "list",
]


@pytest.mark.parametrize("how", HOWS)
def test_what_has_ended_does_not_change(server, receiver, how):
    id = how.replace(" ", "-") or "plain"
    first = server.predict({"how": how}, id=id, webhook=receiver.url).json
    output = first["output"]["deep"][0] if how == "list" else first["output"]
    assert contents(output) == b"a" * SIZE
    server.predict({"how": "overwrite", "letter": "b"})
    assert server.get(f"/predictions/{id}").json == first
    assert receiver.wait_terminal() == first


def test_a_file_of_setup_is_kept_and_what_was_answered_stays(server):
    for letter in "abc":
        body = server.predict({"how": "of setup", "letter": letter}, id=f"setup-{letter}").json
        assert contents(body["output"]) == letter.encode() * SIZE, body["error"]
    assert contents(server.get("/predictions/setup-a").json["output"]) == b"a" * SIZE
    assert any(path.name == "of-setup.bin" for path in server.temporary_files())


def test_an_input_that_is_returned_is_what_it_was(server, store):
    url = store.add("/in.bin", b"i" * SIZE)
    assert (
        contents(server.predict({"how": "given", "path": url}, id="given").json["output"])
        == b"i" * SIZE
    )
    server.predict({"how": "overwrite"})
    assert contents(server.get("/predictions/given").json["output"]) == b"i" * SIZE


def test_a_stored_file_is_not_the_one_that_the_model_gets(server):
    form = (
        b'--b\r\nContent-Disposition: form-data; name="content"; filename="f.bin"\r\n\r\n'
        + b"s" * SIZE
        + b"\r\n--b--\r\n"
    )
    stored = server.ask(
        "POST", "/v1/files", form, Content_Type="multipart/form-data; boundary=b"
    ).json
    url = stored["urls"]["get"]
    server.predict({"how": "given", "path": url}, id="stored")
    server.predict({"how": "overwrite"})
    again = server.predict({"how": "given", "path": url}).json
    assert (
        contents(again["output"])
        == contents(server.get("/predictions/stored").json["output"])
        == b"s" * SIZE
    )


def test_an_upload_is_whole_although_the_model_goes_on_writing(start, store):
    under_way, go = threading.Event(), threading.Event()

    def put(got):
        if len(store.got) == 1:
            under_way.set()
            go.wait(20)
            return Reply(503, {"Content-Length": "0"})
        return Reply(200, {"Content-Length": "0"})

    store.put = put
    writer = """
import os, pathlib, tempfile, threading, time
from cog import BasePredictor, Path
class Predictor(BasePredictor):
    def predict(self) -> Path:
        path = os.path.join(tempfile.mkdtemp(), "out.bin")
        out = open(path, "wb")
        out.write(b"a" * (2 << 20))
        out.flush()
        def later():
            while not os.path.exists("go"):
                time.sleep(0.01)
            out.write(b"b" * (2 << 20))
            out.seek(0)
            out.write(b"b" * (2 << 20))
            out.close()
            pathlib.Path("done").touch()
        threading.Thread(target=later, daemon=True).start()
        return Path(path)
"""
    server = start(writer, "--upload-url", store.url + "/up")
    server.predict({}, {"Prefer": "respond-async"}, id="up")
    assert under_way.wait(20)
    directory = server.temporary.parent
    (directory / "go").touch()
    until("the model has written", (directory / "done").exists)
    go.set()
    body = server.ended("up")
    assert body["status"] == "succeeded", body["error"]
    assert [got.body == b"a" * SIZE for got in store.got] == [True, True]


BIRTHS = """
import os, pathlib, shutil, tempfile
from typing import Any
from cog import BasePredictor, Path
LEAVE

def write(name, text="text", directory=None):
    path = os.path.join(directory or tempfile.mkdtemp(), name)
    pathlib.Path(path).write_text(text)
    return path

class Predictor(BasePredictor):
    def setup(self):
        self.old = [write(f"old-{i}.txt") for i in range(400)]
        self.cached = None

    def predict(self, how: str = "new", path: Path = None) -> Any:
        directory = tempfile.mkdtemp()
        if how == "given":
            return Path(shutil.move(path, os.path.join(directory, "moved.txt")))
        if how == "cached":
            self.cached = self.cached or write("cached.txt")
            return self.cached
        if how == "what was cached":
            return Path(self.cached)
        if how == "new":
            return Path(write("new.txt"))
        old = self.old.pop()
        if how == "written":
            pathlib.Path(old).write_text("text")
        if how == "renamed":
            os.rename(old, old + ".renamed")
            old += ".renamed"
        if how == "moved":
            old = shutil.move(old, os.path.join(directory, "moved.txt"))
        if how == "linked":
            os.link(old, os.path.join(directory, "linked.txt"))
            old = os.path.join(directory, "linked.txt")
        if how == "touched":
            os.utime(old)
            os.chmod(old, 0o600)
        if how == "copied":
            old = shutil.copy2(old, os.path.join(directory, "copied.txt"))
        return Path(old)
"""


@pytest.fixture(scope="module")
def births(start_once):
    return start_once(BIRTHS.replace("LEAVE", LEAVE))


@pytest.mark.parametrize("how", ["plain", "written", "renamed", "moved", "linked", "touched"])
def test_an_older_file_is_kept_whatever_was_done_to_it(births, how):
    for _ in range(20):  # also right after a run
        before = len(births.temporary_files())
        assert contents(births.predict({"how": how}).json["output"]) == b"text"
        assert len(births.temporary_files()) == before + (how == "linked")


@pytest.mark.parametrize("how", ["new", "copied", "given"])
def test_a_file_of_the_run_is_removed(births, store, how):
    url = store.add("/in.txt", b"text") if how == "given" else None
    for _ in range(20):
        before = births.temporary_files()
        assert (
            contents(births.predict({"how": how, **({"path": url} if url else {})}).json["output"])
            == b"text"
        )
        assert births.temporary_files() == before


def test_a_file_of_the_run_before_is_kept(births):
    for n in range(20):  # right after it, when stamps hardly differ
        births.predict({"how": "cached"})
        assert (
            contents(births.predict({"how": "what was cached"}, id=f"c{n}").json["output"])
            == b"text"
        )
    assert any(path.name == "cached.txt" for path in births.temporary_files())


@pytest.mark.parametrize("kind", ["def predict", "async def predict"])
def test_so_it_is_on_kernels_whose_stamps_are_coarse(start, tmp_path, kind):
    (tmp_path / "sitecustomize.py").write_text(
        "import os; del os.memfd_create"
    )  # of which exact stamps are made
    server = start(
        BIRTHS.replace("def predict", kind).replace("LEAVE", LEAVE),
        env={"PYTHONPATH": str(tmp_path)},
    )
    server.predict({"how": "cached"})
    for how in ["new", "what was cached", "moved", "written"] * 5:
        before = len(server.temporary_files())
        assert contents(server.predict({"how": how}).json["output"]) == b"text"
        assert len(server.temporary_files()) == before


TOGETHER = """
import asyncio, os, pathlib, tempfile
from typing import Any
from cog import BasePredictor, Path, concurrent

class Predictor(BasePredictor):
    async def setup(self):
        self.waiting = {}
        self.path = None

    @concurrent(max=4)
    async def predict(self, name: str = "", size: int = 4, wait: str = "", wake: str = "") -> Any:
        if wake:
            self.waiting[wake].set()
            return "done"
        if wait:
            await self.waiting.setdefault(wait, asyncio.Event()).wait()
        if self.path is None or not name:
            self.path = os.path.join(tempfile.mkdtemp(), "out.txt")
            pathlib.Path(self.path).write_bytes(b"s" * size)
        return Path(self.path)
"""


@pytest.mark.parametrize("size", [4, SIZE])
def test_runs_that_share_a_file_all_get_it_and_it_goes_with_the_last(start, size):
    server = start(TOGETHER)
    ids = ["one", "two", "three"]
    for id in ids:
        server.predict(
            {"name": "shared", "size": size, "wait": id}, {"Prefer": "respond-async"}, id=id
        )
    for id in ids:
        until("it waits", lambda id=id: server.predict({"wake": id}).json["status"] == "succeeded")
        body = server.ended(id)
        assert body["status"] == "succeeded", body["error"]
        assert contents(body["output"]) == b"s" * size
    server.predict({"size": size})
    until("nothing is left", lambda: not server.temporary_files())
    assert contents(server.get("/predictions/one").json["output"]) == b"s" * size


TRAINING = """
import os, pathlib, tempfile
from cog import BaseModel, BasePredictor, Path

class Weights(BaseModel):
    weights: Path

kept = []

def train(n: int = 0) -> Weights:
    for fd in kept:
        os.pwrite(fd, b"n" * (2 << 20), 0)
    path = os.path.join(tempfile.mkdtemp(), "weights.bin")
    pathlib.Path(path).write_bytes(b"w" * (2 << 20))
    kept.append(os.open(path, os.O_RDWR))
    return Weights(weights=Path(path))

class Predictor(BasePredictor):
    def predict(self) -> str:
        return ""
"""


def test_the_weights_of_a_training_stay_what_they_were(start):
    server = start(TRAINING)
    for n in (1, 2):
        answer = server.ask("PUT", f"/trainings/t{n}", {"input": {"n": n}})
        assert answer.json["status"] == "succeeded", answer.json
    for n in (1, 2):
        assert contents(server.get(f"/predictions/t{n}").json["output"]["weights"]) == b"w" * SIZE
