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
