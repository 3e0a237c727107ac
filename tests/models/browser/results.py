import pathlib, tempfile, time
from typing import Any
from cog import BasePredictor, Input, Path, Secret, current_scope

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415408d763f8cfc0000003010100c9fe92ef"
    "0000000049454e44ae426082"
)


class Predictor(BasePredictor):
    def predict(
        self,
        what: str = Input(default="text"),
        seed: int = Input(default=0),
        gate: str = Input(default=""),
        key: Secret = Input(default=None),
    ) -> Path:
        current_scope().record_metric("load_seconds", 185.0)
        while gate and not pathlib.Path(gate).exists():
            time.sleep(0.01)
        if what == "logs":
            print("\n".join(f"line {i}" for i in range(5000)))
        path = Path(tempfile.mkdtemp()) / "o.png"
        path.write_bytes(PNG + bytes(2000))
        return path
