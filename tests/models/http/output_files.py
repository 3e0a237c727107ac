import io, json, os, tempfile, time
from typing import Any, Iterator
from cog import BasePredictor, Path, streaming


def write(name, text="contents", directory=None):
    path = os.path.join(directory or tempfile.mkdtemp(), name)
    with open(path, "wb") as out:
        out.write(text if isinstance(text, bytes) else text.encode())
    return Path(path)


class Predictor(BasePredictor):
    def predict(self, what: str = "file", name: str = "out.txt", count: int = 3) -> Any:
        if what == "file":
            return write(name)
        if what == "binary":
            return write(name, bytes(range(256)) * 7 + b"x")
        if what == "empty":
            return write(name, b"")
        if what == "object":
            return {"a": write("a.txt", "a"), "n": 1, "deep": {"b": [write("b.txt", "b"), None]}}
        if what == "list":
            return [write(f"{i}.txt", str(i)) for i in range(count)]
        if what == "same name":
            return [write("same.txt", str(i)) for i in range(count)]
        if what == "missing":
            return Path("/nowhere/at/all.txt")
        if what == "directory":
            return Path(tempfile.mkdtemp())
        if what == "given":
            return Path(name)
        if what == "text":
            return name
        if what == "bytes io":
            return io.BytesIO(b"in memory")
        if what == "text io":
            return io.StringIO("in memory")
        if what == "open file":
            file = tempfile.TemporaryFile()
            file.write(b"was open")
            file.seek(0)
            return file
        if what.startswith("named"):
            file = tempfile.NamedTemporaryFile(suffix=".json", delete=what != "named, left")
            file.write(b"was open")
            self.kept = file if what == "named, kept" else None
            return [file, {"again": file}]
        if what == "link":  # as the cache of a hub has it
            blob = write("1960141250d1", "glTF")
            os.makedirs("snapshot", exist_ok=True)
            link = os.path.join("snapshot", name)
            if not os.path.lexists(link):
                os.symlink("../blob", link)
            if not os.path.exists("blob"):
                os.replace(blob, "blob")
            else:
                os.remove(blob)
            return (Path(link), [open(link, "rb")])
        if what == "pathlib":
            import pathlib

            return pathlib.Path(write("p.txt", "p"))
        raise ValueError(what)
