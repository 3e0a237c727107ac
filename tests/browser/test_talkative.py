"""The page stays usable while a model writes a lot."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import Browser, Page, expect

from model_sources import model_source

#: Seconds of CPU time for which one task may block the page's thread.
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
    """CPU seconds of the longest task of the page, which do not depend on the load of the
    machine.
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
