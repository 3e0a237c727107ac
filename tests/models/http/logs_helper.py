import subprocess, threading, sys
import cog


class Predictor(cog.BasePredictor):
    def setup(self):
        self.helper = subprocess.Popen(
            ["sh", "-c", "while read line; do echo $line; done"], stdin=subprocess.PIPE
        )
        self.wake, self.spoken = threading.Event(), threading.Event()
        threading.Thread(target=self.work, daemon=True).start()

    def work(self):
        while self.wake.wait():
            self.wake.clear()
            print("from the worker")
            self.spoken.set()

    def predict(self) -> str:
        self.helper.stdin.write(b"from the helper\n")
        self.helper.stdin.flush()
        self.wake.set()
        self.spoken.wait()
        print("mine")
        return ""
