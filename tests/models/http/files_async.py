import os, pathlib, shutil, tempfile
from cog import BasePredictor, Path


class Predictor(BasePredictor):
    async def predict(self, file: Path, how: str = "os.rename") -> list[str]:
        read = []
        for directory in (tempfile.mkdtemp(), os.getcwd()):
            given = pathlib.Path(file)
            there = pathlib.Path(directory, "moved.txt")
            if how.startswith("os."):
                getattr(os, how[3:])(given, there)
            else:
                getattr(given, how)(there)
            read.append(there.read_text())
            if how != "os.link":
                os.rename(there, file)
        return read
