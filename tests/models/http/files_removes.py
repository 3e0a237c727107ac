import os, shutil, tempfile
from cog import BasePredictor, Path


class Predictor(BasePredictor):
    def predict(self, file: Path = None, how: str = "") -> str:
        for name in os.listdir(tempfile.gettempdir()):
            path = os.path.join(tempfile.gettempdir(), name)
            if how == "remove":
                shutil.rmtree(path, ignore_errors=True)
            elif how == "open":
                os.chmod(path, 0o755)
            elif how == "close":
                os.chmod(path, 0o700)
        if how == "all":
            shutil.rmtree(tempfile.gettempdir())
        return file.read_text() if file and os.path.exists(file) else ""
