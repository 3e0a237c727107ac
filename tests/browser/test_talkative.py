"""The page of a model that writes a lot: it stays usable, whatever comes how fast."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import Browser, Page, expect

from model_sources import model_source

#: What one task may keep the page's thread from a click, in seconds of its own work.
BOUND = 0.3

MODEL = model_source("browser/talkative")
LIST = MODEL.replace("ConcatenateIterator, Input", "Input").replace(
    "from typing import Any", "from typing import Iterator"
)
JOINED = MODEL.replace("Iterator[str]", "ConcatenateIterator[str]")


@pytest.fixture(scope="module", params=["joined", "list"])
def talkative(request, start_once):
    return start_once(JOINED if request.param == "joined" else LIST)


def longest_task(trace: bytes) -> float:
    """Seconds of the thread's own time in the longest task of the page: how busy the machine is
    does not matter.
    """
    events = json.loads(trace)["traceEvents"]
    threads = {
        (e["pid"], e["tid"])
        for e in events
        if e["name"] == "thread_name" and e["args"]["name"] == "CrRendererMain"
    }
    tasks = [
        e
        for e in events
        if (e["pid"], e["tid"]) in threads and e["name"].endswith("RunTask") and "tdur" in e
    ]
    assert tasks
    return max(task["tdur"] for task in tasks) / 1e6


@pytest.mark.parametrize("what", ["logs", "output", "metrics", "bar"])
def test_twenty_thousand_items_leave_the_page_responsive(
    browser: Browser, page: Page, talkative, what
):
    page.goto(f"http://127.0.0.1:{talkative.port}/docs")
    page.fill("#input-what", what)
    browser.start_tracing(
        page=page, categories=["toplevel", "__metadata", "disabled-by-default-devtools.timeline"]
    )
    page.click("#run")
    expect(page.locator("#status")).to_have_text("succeeded", timeout=120_000)
    took = longest_task(browser.stop_tracing())
    print(what, took)
    assert took < BOUND
