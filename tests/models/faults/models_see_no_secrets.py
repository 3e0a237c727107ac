import os


class Predictor:
    def predict(self, what: str = "") -> str:
        if what == "environment":
            return repr(dict(os.environ))
        if what == "die":
            os._exit(1)
        if what == "ids":
            return repr((os.getresuid(), os.getresgid(), os.getgroups()))
        if what == "new privileges":
            return open("/proc/self/status").read().split("NoNewPrivs:")[1].split()[0]
        if what == "directory":
            words = open("/proc/self/cmdline").read().split(chr(0))
            return oct(os.stat(words[words.index("--working-dir") + 1]).st_mode)
        try:
            with open(what.replace("PARENT", str(os.getppid())), "rb") as f:
                return repr(f.read(1_000_000))
        except OSError as error:
            return type(error).__name__
