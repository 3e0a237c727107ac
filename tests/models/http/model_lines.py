import os, signal, subprocess, sys, threading, time
from cog import BasePredictor

print("at import")


def later():
    time.sleep(0.2)
    os.write(1, b"left behind\n")


class Predictor(BasePredictor):
    def setup(self):
        print("from setup")
        print("of setup, to stderr", file=sys.stderr)
        os.write(2, b"setup to fd 2\n")

    def predict(self, what: str = "print", n: int = 1) -> str:
        getattr(self, what)(n)
        return "done"

    def print(self, n):
        print("to stdout")
        print("to stderr", file=sys.stderr)

    def raw(self, n):
        os.write(1, b"to fd 1\n")
        os.write(2, b"to fd 2\n")

    def child(self, n):
        subprocess.run(["sh", "-c", "echo child out; echo child err >&2"], check=True)

    def long(self, n):
        print("y" * n)

    def dots(self, n):
        for _ in range(n):
            os.write(1, b".")
        os.write(1, b"\n")

    def bar(self, n):
        for i in range(n):
            print(f"\r{i}%", end="", file=sys.stderr, flush=True)
        print("\rall of it", file=sys.stderr)

    def torn(self, n):
        print("no end", end="", flush=True)
        time.sleep(60)

    def odd(self, n):
        os.write(1, b'"quoted" {"a": 1} \xff \xc3\xa9 \x1b[31m\r\n\n')

    def thread(self, n):
        threading.Thread(target=later).start()

    def daemon(self, n):
        subprocess.Popen(["sh", "-c", "sleep 0.3; echo from a daemon >&2"])

    def fail(self, n):
        raise ValueError("boom")

    def die(self, n):
        print("half", end="", flush=True)
        os.write(2, b"its last words")
        os.kill(os.getpid(), 9)
