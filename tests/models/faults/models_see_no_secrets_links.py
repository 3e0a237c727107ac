import os

from cog import BasePredictor, Path


class Predictor(BasePredictor):
    def predict(self, how: str, below: str) -> Path:
        words = open("/proc/self/cmdline").read().split(chr(0))
        spool = words[words.index("--working-dir") + 1]
        if how == "link":
            [request] = [n for n in os.listdir(spool) if n.startswith("request-")]
            os.symlink(below + "/secret", spool + "/response-" + request[len("request-") :])
        if how == "pending":
            os.symlink(below + "/victim", spool + "/.tmp/request-next.json")
        return Path(below + "/secret")
