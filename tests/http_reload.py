"""A model that a test edits while ``--reload`` serves it."""

from __future__ import annotations

import pathlib
import threading
from typing import Any

from http_harness import Answer, Server
from model_sources import model_source
from servers import Starter
from waiting import until

ECHO = """
from cog import BasePredictor
class Predictor(BasePredictor):
    def predict(self, name: str) -> str:
        return "{word} " + name
"""
#: Runs until a file with the given name exists next to the model.
SLOW = model_source("http/reload_slow")
NEW = """
from cog import BasePredictor
class Predictor(BasePredictor):
    def predict(self, until: str = "x", times: int = 1) -> str:
        return "new" * times
"""


class Model:
    """A served model that a test edits."""

    def __init__(
        self, start: Starter, directory: pathlib.Path, *flags: str, **options: Any
    ) -> None:
        self.directory = directory
        self.server: Server = start("", "--reload", *flags, model_dir=directory, **options)

    def save(self, text: str, name: str = "predict.py") -> None:
        """Write a file as editors do: to another name, then to its own."""
        path = self.directory / name
        half = path.with_name(f".{path.name}.half")
        half.write_text(text)
        half.rename(path)

    def started(self) -> Any:
        return self.server.health()["setup"]["started_at"]

    def saved(self, text: str, name: str = "predict.py", status: str = "READY") -> Any:
        """Save a file, wait until the server loaded the model with it, and return the health."""
        before = self.started()
        self.save(text, name)
        return self.reloaded(before, status)

    def reloaded(self, before: str, status: str = "READY") -> Any:
        def look() -> Any:
            health = self.server.health()
            return health["setup"]["started_at"] != before and health["status"] == status and health

        try:
            return until(f"the model is reloaded and {status}", look)
        except AssertionError as late:
            raise AssertionError(f"{late}: {self.server.health()}\n{self.server.log()}") from None

    def loads(self) -> int:
        return self.server.log().count("reloading the model")


def inputs(server: Server) -> set[str]:
    return set(server.get("/openapi.json").json["components"]["schemas"]["Input"]["properties"])


def asked(server: Server, input: dict[str, Any]) -> tuple[threading.Thread, list[Answer]]:
    """Start a prediction, with a thread that waits for it."""
    answers: list[Answer] = []
    thread = threading.Thread(target=lambda: answers.append(server.predict(input)))
    thread.start()
    return thread, answers


def busy(server: Server) -> None:
    until("a prediction runs", lambda: server.health()["status"] == "BUSY")


def served_directory(tmp_path: pathlib.Path) -> pathlib.Path:
    """Make a directory with a model and its cog.yaml."""
    made = tmp_path / "model"
    made.mkdir()
    (made / "predict.py").write_text(ECHO.format(word="hello"))
    (made / "cog.yaml").write_text('predict: "predict.py:Predictor"\n')
    return made
