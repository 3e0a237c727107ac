import atexit, shutil
import asyncio, mmap, os, pathlib, shutil, subprocess, sys, tempfile, threading, time
from typing import Any
from cog import BasePredictor, Path

SIZE = 2 << 20
here = tempfile.mkdtemp()

atexit.register(
    lambda: [shutil.rmtree(path) for path in pathlib.Path(tempfile.gettempdir()).iterdir()]
)


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
            self.kept.append(
                lambda text: os.pwrite(os.open(f"/proc/self/fd/{fd}", os.O_WRONLY), text, 0)
            )
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
            child = subprocess.Popen(
                [sys.executable, "-c", code], stdin=subprocess.PIPE, pass_fds=[fd]
            )
            os.close(fd)
            self.kept.append(lambda text: child.communicate(b"x"))
        if how == "list":
            fd = os.open(made, os.O_WRONLY)
            self.kept.append(lambda text: os.pwrite(fd, text, 0))
            return {"deep": [Path(made)]}
        return Path(made)
