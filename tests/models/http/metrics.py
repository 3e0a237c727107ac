import time
from typing import Any
from cog import BasePredictor, current_scope, emit_metric


class Predictor(BasePredictor):
    def setup(self):
        current_scope().record_metric("setup", 1)
        self.record_metric("setup", 2)

    def predict(self, steps: Any, end: str = "") -> Any:
        said = []
        for how, *args in steps:
            try:
                getattr(self, "by_" + how)(*args)
                said.append(None)
            except (KeyError, TypeError, ValueError) as error:
                said.append(type(error).__name__)
        if end == "raise":
            raise ValueError("boom")
        if end == "hang":
            time.sleep(60)
        return said

    def by_scope(self, *a):
        current_scope().record_metric(*a)

    def by_self(self, name, value, mode="replace"):
        self.record_metric(name, value, mode=mode)

    def by_set(self, name, value):
        self.scope.metrics[name] = value

    def by_del(self, name):
        del self.scope.metrics[name]

    def by_emit(self, *a):
        emit_metric(*a)
