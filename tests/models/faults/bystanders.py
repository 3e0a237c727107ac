import os, pathlib, subprocess
from cog import BasePredictor

WAYS = {
    "child": "echo $$ >$0; exec sleep 600",
    "session": "echo $$ >$0; exec setsid sleep 600",
    "orphan": "(sleep 600 & echo $! >$0)",
    "daemon": "(setsid sleep 600 & echo $! >$0)",
    "of a daemon": "(setsid sh -c '(setsid sleep 600 & echo $! >$0); exec sleep 600' $0 &)",
}


class Predictor(BasePredictor):
    def predict(self, way: str = "", meeting: str = "") -> dict:
        if meeting:
            pathlib.Path(f"{meeting}-{os.getpid()}").touch()
            while len(list(pathlib.Path().glob(f"{meeting}-*"))) < 2:
                pass
        file = pathlib.Path(f"pid-{os.getpid()}")
        file.unlink(missing_ok=True)
        subprocess.Popen(["sh", "-c", WAYS[way], file], env={"PATH": os.environ["PATH"]})
        while not (file.exists() and file.read_text().endswith("\n")):
            pass
        return {"pid": int(file.read_text()), "runner": os.getpid()}
