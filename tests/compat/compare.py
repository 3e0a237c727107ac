"""Runs each model unmodified under cog from PyPI and under Coggo, and compares each answer:
`make compat`.

Both serve the same files in the same interpreter. Status codes, and the parts of an answer that a
client relies on, must be equal.
"""

from __future__ import annotations

import base64
import io
import json
import math
import pathlib
import re
import struct
import sys
import wave
from typing import Any

import peers

HERE = pathlib.Path(__file__).resolve().parent


def picture() -> str:
    from PIL import Image

    out = io.BytesIO()
    Image.linear_gradient("L").resize((32, 32)).save(out, "PNG")
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()


def sound() -> str:
    out = io.BytesIO()
    with wave.open(out, "wb") as sink:
        sink.setnchannels(1)
        sink.setsampwidth(2)
        sink.setframerate(8000)
        samples = [int(10000 * math.sin(i / 10)) for i in range(800)]
        sink.writeframes(struct.pack(f"<{len(samples)}h", *samples))
    return "data:audio/wav;base64," + base64.b64encode(out.getvalue()).decode()


def cases() -> dict[str, list[Any]]:
    """The inputs for each model."""
    return {
        "text": [
            {"text": "the cat and a dog and the cat"},
            {
                "text": "the cat and a dog",
                "order": "word",
                "top": 2,
                "weight": 2,
                "skip": ["dog"],
                "keep_stop_words": True,
            },
            {"text": "b a", "seed": 7, "top": "2", "keep_stop_words": "yes", "weight": "0.5"},
            {"text": "again: no shared default"},
            {"text": ""},
            {"text": "x", "order": "size"},
            {"text": "x", "top": 0},
            {"text": "x", "top": 101, "weight": -1},
            {"text": 5},
            {"text": "x", "skip": "no list"},
            {},
            {"text": "x", "unknown": 1},
        ],
        "image": [
            {"image": picture()},
            {"image": picture(), "size": 16, "gray": True},
            {"image": "data:image/png;base64,bm8gaW1hZ2U="},
            {"image": picture(), "size": 0},
            {"image": "/etc/hostname"},
        ],
        "audio": [
            {"audio": sound()},
            {"audio": sound(), "gain": 0.25},
            {"audio": "data:audio/wav;base64,AAAA"},
        ],
        "array": [{}, {"scale": -1.5, "rows": 4}, {"rows": 5}, {"scale": "3"}],
        "tokens": [
            {"prompt": "one two"},
            {"prompt": "one two", "tokens": 0},
            {"prompt": "one", "tokens": 3, "fail_after": 2},
            {"prompt": "ONE"},
        ],
        "scored": [
            {"text": "abracadabra"},
            {"text": "", "threshold": 0},
            {"text": "x", "threshold": 2},
        ],
    }


def essence(answer: tuple[int, Any]) -> Any:
    """The parts that a client relies on: status and output, or the wrong fields of a refusal."""
    status, body = answer
    if status == 422:
        return status, sorted({str(problem["loc"][:3]) for problem in body["detail"]})
    shown = {key: body.get(key) for key in ("status", "output")}
    # Names of temporary files differ. For an exception without text cog shows nothing, and
    # Coggo its class.
    error = re.sub(r"'/[^']*'", "a file", body.get("error") or "")
    return status, {**shown, "error": "" if re.fullmatch(r"\w*", error) else error}


def main() -> int:
    different = 0
    total = 0
    for model, inputs in cases().items():
        cog, coggo = (start(HERE / "models" / model, {}) for start in (peers.cog_016, peers.coggo))
        try:
            for server in (cog, coggo):
                if not server.wait()[0]:
                    raise SystemExit(f"{model} does not get ready under {server.name}")
            for given in inputs:
                total += 1
                theirs, ours = (
                    essence(s.ask("POST", "/predictions", {"input": given})) for s in (cog, coggo)
                )
                if theirs != ours:
                    different += 1
                    print(
                        f"{model} {json.dumps(given)[:200]}\n  cog   {str(theirs)[:300]}\n  coggo {str(ours)[:300]}"
                    )
        finally:
            cog.close()
            coggo.close()
        print(f"{model}: {len(inputs)} inputs compared")
    print(f"\n{total - different} of {total} answers are the same")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
