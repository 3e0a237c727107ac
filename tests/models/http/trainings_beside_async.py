import os, time


class Predictor:
    async def predict(self) -> int:
        return os.getpid()

    def train(self, path: str, deaf: bool = False) -> str:
        open(path, "w").close()
        try:
            while not deaf or os.path.exists(path):
                time.sleep(0.01)
                with open(path + ".steps", "a") as steps:
                    steps.write(".")
        except BaseException as error:
            if deaf:
                time.sleep(600)
            open(path + ".end", "w").write(type(error).__name__)
            raise
        return "done"
