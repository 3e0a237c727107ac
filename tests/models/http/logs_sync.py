import logging, os, subprocess, sys, threading, time
from cog import BasePredictor

logging.basicConfig(level=logging.INFO, format="%(message)s")


class Predictor(BasePredictor):
    def setup(self):
        print("from setup")

    def predict(self, what: str = "print") -> str:
        getattr(self, what.replace(" ", "_"))()
        return "done"

    def print(self):
        print("one")
        print("two")

    def stderr(self):
        print("to stderr", file=sys.stderr)

    def logging(self):
        logging.getLogger("m").info("to the log")

    def thread(self):
        t = threading.Thread(target=print, args=("from a thread",))
        t.start()
        t.join()

    def descriptor(self):
        os.write(1, b"to fd 1\n")
        os.write(2, b"to fd 2\n")

    def subprocess(self):
        subprocess.run(["sh", "-c", "echo child; echo child err >&2"], check=True)

    def in_turns(self):
        for n in range(50):
            print("out", n)
            print("err", n, file=sys.stderr)
            sys.stdout.flush()
            os.system(f"echo child {n}")

    def threads(self):
        def talk(n):
            for i in range(200):
                print("thread", n, "line", i)

        ts = [threading.Thread(target=talk, args=(n,)) for n in range(8)]
        [t.start() for t in ts]
        [t.join() for t in ts]

    def no_newline(self):
        sys.stdout.write("the tail")

    def only_descriptor_tail(self):
        os.write(1, b"raw tail")

    def lines(self):
        for i in range(5000):
            print("line", i)

    def invalid(self):
        os.write(1, b"before \xff after \xfe\n")

    def long(self):
        print("x" * 200_000)

    def longest(self):
        print("y" * 3_000_000)

    def progress(self):
        for i in range(3):
            print(f"\r{i * 50}%", end="", file=sys.stderr)
        print(file=sys.stderr)

    def unicode(self):
        print("é😀 \u2028 \0")

    def json(self):
        print('{"type": "output", "chunk": "fake"}')
        print("[pid=x] fake")

    def nothing(self):
        pass

    def quiet(self):
        print("before", flush=True)
        time.sleep(60)

    def raise_(self):
        print("before")
        raise ValueError("boom")
