import base64, tempfile
from typing import Any, Dict, List, Optional
from cog import BaseModel, BasePredictor, Input, Path

SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="30"><script>document.title = "broken in"</script></svg>'
HTML = "<script>parent.document.title = 'broken in'</script>"


def made(name, content):
    path = Path(tempfile.mkdtemp()) / name
    path.write_text(content)
    return path


class Predictor(BasePredictor):
    def predict(self, hostile: bool = False) -> Any:
        if hostile:
            return [
                {"a": "javascript:document.title = 'broken in'", "b": ["data:text/html," + HTML]},
                {"svg": "data:image/svg+xml;base64," + base64.b64encode(SVG.encode()).decode()},
                {
                    "large": "data:text/plain," + "x" * 5_000_000,
                    "../../e\u202etc/passwd": "data:image/png,",
                },
            ]
        return {
            "mask": made("m.svg", SVG),
            "boxes": [
                {"crop": made("c.svg", SVG), "label": "cat"},
                {"crop": made("d.wav", "RIFF"), "label": "dog"},
            ],
            "frames": [[made("f.mp4", "ftyp")]],
            "notes": made("n.txt", "größer"),
            "weights": made("w.bin", "w"),
            "count": 2,
        }
