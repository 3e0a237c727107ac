import os, shutil
from cog import BasePredictor


class Predictor(BasePredictor):
    def predict(self, what: str) -> str:
        if what == "all":
            shutil.rmtree(
                os.path.dirname(what := os.environ["VICTIM"])
                if os.environ.get("PARENT")
                else os.environ["VICTIM"]
            )
        elif what == "contents":
            for name in os.listdir(os.environ["VICTIM"]):
                path = os.path.join(os.environ["VICTIM"], name)
                shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
        return what
