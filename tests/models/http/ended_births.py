import os, pathlib, shutil, tempfile
from typing import Any
from cog import BasePredictor, Path

import atexit, shutil

atexit.register(
    lambda: [shutil.rmtree(path) for path in pathlib.Path(tempfile.gettempdir()).iterdir()]
)


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
