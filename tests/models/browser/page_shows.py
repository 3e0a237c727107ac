import sys, tempfile, time
from typing import Any
from cog import BaseModel, BasePredictor, Input, Path, current_scope

SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="30"><rect width="40" height="30" fill="teal"/></svg>'
FILES = {
    "image": ("o.svg", SVG),
    "audio": ("o.wav", "RIFF"),
    "video": ("o.mp4", "ftyp"),
    "file": ("o.bin", "bytes"),
}


class Predictor(BasePredictor):
    def predict(self, what: str = Input(default="text")) -> Any:
        print("working on", what)
        current_scope().record_metric("tokens", 42)
        if what == "fail":
            raise ValueError("the model says <b>no</b>")
        if what == "sleep":
            for i in range(300):
                sys.stderr.write(f"\rat {i // 3}%")
                sys.stderr.flush()
                time.sleep(0.1)
        if what in FILES:
            name, content = FILES[what]
            path = Path(tempfile.mkdtemp()) / name
            path.write_text(content)
            return path
        if what == "json":
            return {"list": [1, {"deep": None}], "html": "<i>not markup</i>"}
        return "plain <b>text</b>"
