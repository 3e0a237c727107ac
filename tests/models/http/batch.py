import os, sys, time
from typing import List, Union
import cog
from cog import BasePredictor, Input, Path, current_scope

calls = 0


class Predictor(BasePredictor):
    @cog.batch(max_size=4, max_wait_ms=60_000)
    def predict(
        self,
        s: List[str],
        do: List[str] = Input(
            default="",
            description="what this item does",
            choices=["", "fail", "all fail", "few", "text", "wait", "print", "exit"],
        ),
        path: List[str] = Input(default=""),
        file: List[Path] = Input(default=None),
    ) -> List[Union[str, Exception]]:
        global calls
        calls += 1
        assert all(len(column) == len(s) for column in (do, path, file))
        members = current_scope().members
        assert len(members) == len(s)
        if "print" in do:
            print("call for", *s)
            print("no end", end="")
            print("to stderr", file=sys.stderr)
        for member, text in zip(members, s):
            member.record_metric("mine", text)
        current_scope().record_metric("call", calls)
        for d, p in zip(do, path):
            open(p + ".running", "w").close() if p else None
            while d == "wait" and not os.path.exists(p):
                time.sleep(0.005)
        if "all fail" in do:
            raise RuntimeError("the whole batch failed")
        if "exit" in do:
            sys.exit(3)
        if "text" in do:
            return "not a list"
        out = []
        for text, d, f in zip(s, do, file):
            if d == "fail":
                out.append(ValueError("bad " + text))
            elif f:
                out.append(text + ":" + f.read_text())
            else:
                out.append(text + " of " + str(len(s)))
        return out[1:] if "few" in do else out
