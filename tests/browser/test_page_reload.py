"""The page of a model whose author edits it with --reload."""

from __future__ import annotations

import contextlib
import pathlib
from typing import Any

from playwright.sync_api import Error, Page, expect

from http_harness import Server
from waiting import until

ONE = """
from cog import BasePredictor, Input
class Predictor(BasePredictor):
    def predict(self, name: str, times: int = 1) -> str:
        return name * times
"""
TWO = ONE.replace("times: int = 1", "times: int = 2, end: str = '!'").replace(
    "name * times", "name * times + end"
)


def save(page: Page, server: Server, text: str, status: str) -> None:
    """Save the model, and return to the page once the server has loaded it."""
    before = server.health()["setup"]["started_at"]
    (pathlib.Path(server.process.args[-1]) / "predict.py").write_text(text)  # type: ignore[arg-type,index]
    until("it is loaded", lambda: server.health()["setup"]["started_at"] != before)
    server.wait_status(status)
    with contextlib.suppress(Error):  # the page has seen it by itself, and is being reloaded
        page.evaluate("dispatchEvent(new Event('focus'))")


def test_the_form_follows_the_signature_and_keeps_what_was_typed(
    page: Page, start: Any, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "predict.py").write_text(ONE)
    server = start("", "--reload", model_dir=tmp_path)
    page.goto(f"http://127.0.0.1:{server.port}/docs")
    page.get_by_label("name").fill("ab")
    page.locator("#run").click()
    expect(page.locator("#output")).to_have_text("ab")
    page.get_by_label("name").fill("cd")
    save(page, server, TWO, "READY")
    expect(page.locator("[data-name=end]")).to_be_visible()
    expect(page.get_by_label("name")).to_have_value("cd")
    expect(page.locator("[data-name=times] input").first).to_have_value("2")
    page.locator("#run").click()
    expect(page.locator("#output")).to_have_text("cdcd!")


def test_a_broken_save_is_shown_until_the_next_one(
    page: Page, start: Any, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "predict.py").write_text(ONE)
    server = start("", "--reload", model_dir=tmp_path)
    page.goto(f"http://127.0.0.1:{server.port}/docs")
    expect(page.locator("#health")).to_have_text("READY")
    save(page, server, "def (:\n", "SETUP_FAILED")
    expect(page.locator("#health")).to_have_text("SETUP_FAILED")
    expect(page.locator("#setup-logs")).to_contain_text("SyntaxError")
    save(page, server, TWO, "READY")
    expect(page.locator("[data-name=end]")).to_be_visible()
    expect(page.locator("#health")).to_have_text("READY")
