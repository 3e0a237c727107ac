import asyncio, os, signal, time


def write(name, text):
    words = open("/proc/self/cmdline", "rb").read().split(b"\0")
    path = os.path.join(os.fsdecode(words[words.index(b"--working-dir") + 1]), name)
    with open(path + ".half", "w") as file:
        file.write(text)
    os.replace(path + ".half", path)
    os.kill(os.getppid(), signal.SIGHUP)


class Predictor:
    running = 0

    def predict(self, name: str = "", text: str = "") -> int:
        Predictor.running += 1
        try:
            if name:
                write(name, text)
                end = time.monotonic() + 60
                while time.monotonic() < end:
                    time.sleep(0.01)
            return Predictor.running
        finally:
            Predictor.running -= 1


class AsyncPredictor:
    running = 0

    async def predict(self, name: str = "", text: str = "") -> int:
        AsyncPredictor.running += 1
        try:
            if name:
                write(name, text)
                await asyncio.sleep(60)
            return AsyncPredictor.running
        finally:
            AsyncPredictor.running -= 1


class Stubborn:
    async def predict(self, gate: str = "", name: str = "") -> str:
        if name:
            write(name, "rubbish")
        while gate and not os.path.exists(gate):
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                pass
        return "done"
