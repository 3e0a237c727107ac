"""The page shows a run: its place in the queue, its logs, request and answer, and another run next
to it for comparison.
"""

from __future__ import annotations

import json
import pathlib
import re

import pytest
from playwright.sync_api import Page, expect

from model_sources import model_source

MODEL = model_source("browser/results")


@pytest.fixture(scope="module")
def model(start_once):
    return start_once(MODEL, "--max-queue", "5")


def run(page: Page, server, **inputs: str) -> None:
    page.goto(f"http://127.0.0.1:{server.port}/docs")
    again(page, **inputs)


def again(page: Page, **inputs: str) -> None:
    for name, value in inputs.items():
        page.fill(f"#input-{name}", value)
    page.click("#run")
    expect(page.locator("#download")).to_be_visible()


def test_a_queued_prediction_shows_its_place(page, model, tmp_path):
    gate = tmp_path / "gate"
    for name in ("running", "first", "second"):
        model.predict({"gate": str(gate)}, {"Prefer": "respond-async"}, id=name)
    try:
        page.goto(f"http://127.0.0.1:{model.port}/docs")
        page.click("#run")
        expect(page.locator("#place")).to_have_text("Waiting for a free slot: 2 are before it.")
        model.ask("POST", "/predictions/second/cancel")
        expect(page.locator("#place")).to_have_text("Waiting for a free slot: 1 is before it.")
    finally:
        gate.touch()
    expect(page.locator("#status")).to_have_text("succeeded")
    expect(page.locator("#place")).to_be_hidden()


def test_long_logs_show_their_end_and_all_of_them_on_request(page, model):
    run(page, model, what="logs")
    page.click("#logs-box summary")
    expect(page.locator("#logs-hidden")).to_have_text(
        re.compile(r"^[23],\d00 earlier lines are not shown\.$")
    )
    expect(page.locator("#logs")).to_contain_text("line 4999")
    assert "line 0\n" not in page.locator("#logs").text_content()
    with page.expect_download() as download:
        page.click("#logs-save")
    whole = "".join(f"line {i}\n" for i in range(5000))
    assert pathlib.Path(download.value.path()).read_text() == whole
    page.click("#logs-all")
    expect(page.locator("#logs-more")).to_be_hidden()
    assert page.locator("#logs").text_content() == whole


def test_times_have_units(page, model):
    run(page, model)
    expect(page.locator("#metrics div").filter(has_text="predict_time")).to_have_text(
        re.compile(r"predict_time\d[\d.]* ms$")
    )
    expect(page.locator("#metrics div").filter(has_text="load_seconds")).to_have_text(
        "load_seconds3 min 5 s"
    )
    shown = page.evaluate("[0.0004, 0.016, 0.9999, 1.23, 59.99, 180, 3600, 7500].map(duration)")
    assert shown == ["0.4 ms", "16 ms", "1.0 s", "1.2 s", "1 min", "3 min", "1 h", "2 h 5 min"]


def test_the_request_and_the_answers_are_shown_as_sent(page, model):
    run(page, model, seed="12345678901234567890", key="hush")
    page.click("#raw-box summary")
    request, accepted, answer = page.locator("#raw pre").all_inner_texts()
    head, body = request.split("\n\n", 1)
    assert (
        head.startswith(f"POST http://127.0.0.1:{model.port}/predictions\n")
        and "Prefer: respond-async" in head
    )
    assert json.loads(body)["input"] == {
        "what": "text",
        "seed": 12345678901234567890,
        "gate": "",
        "key": "**********",
    }
    assert (
        accepted.startswith("HTTP 202\n\n{") and json.loads(accepted.split("\n\n", 1)[1])["status"]
    )
    assert answer.startswith("GET ") and "12345678901234567890" in answer and "… (" in answer, (
        "the picture is cut"
    )
    assert "hush" not in request + accepted + answer


def test_a_refused_request_shows_its_answer(page, model):
    run(page, model)
    page.fill("#input-seed", "1.5")
    page.click("#run")
    expect(page.locator("#input-seed-problem")).to_be_visible()
    page.click("#raw-box summary")
    expect(page.locator("#raw pre").last).to_contain_text("HTTP 422")
    expect(page.locator("#output img")).to_be_visible()


def test_a_kept_result_is_shown_next_to_the_new_one(page, model):
    run(page, model, seed="1")
    page.click("#keep")
    again(page, seed="2")
    kept, shown = page.locator("#kept-output img"), page.locator("#output img")
    expect(kept).to_be_visible()
    expect(shown).to_be_visible()
    expect(page.locator("#kept-inputs")).to_have_text("Inputkeptshownseed12")
    boxes = kept.bounding_box(), shown.bounding_box()
    assert boxes[0] and boxes[1] and boxes[0]["x"] != boxes[1]["x"], "side by side"
    page.click("#unkeep")
    expect(page.locator("#kept")).to_be_hidden()


def test_recent_predictions_show_time_input_and_result(page, model):
    model.predict({"what": "a cat"}, id="seen")
    model.predict({"seed": 7}, id="numbered")
    page.goto(f"http://127.0.0.1:{model.port}/docs")
    expect(page.locator("#recent li").filter(has_text="numbered").locator(".gist")).to_have_text(
        "seed: 7"
    )
    row = page.locator("#recent li").filter(has_text="seen")
    expect(row.locator(".gist")).to_have_text("a cat")
    expect(row.locator("time")).to_have_text(re.compile(r"\d\d?:\d\d"))
    expect(row.locator("img")).to_be_visible()
    expect(page.locator("#result")).to_contain_text(
        "Everyone who can open this page sees all predictions"
    )


TRAINS = """
class Predictor:
    def predict(self, a: str = "x") -> str:
        return a

    def train(self, n: int) -> str:
        return "trained"
"""


def test_trainings_are_marked_among_the_recent_predictions(page, start):
    server = start(TRAINS)
    assert server.ask("PUT", "/trainings/learned", {"input": {"n": 1}}).status == 200
    assert server.predict({"a": "b"}, id="predicted").status == 200
    page.goto(f"http://127.0.0.1:{server.port}/docs")
    expect(page.locator("#recent li")).to_have_count(2)
    expect(page.locator("#recent li").filter(has_text="learned")).to_contain_text("training")
    expect(page.locator("#recent li").filter(has_text="predicted")).not_to_contain_text("training")
    page.set_viewport_size({"width": 320, "height": 568})
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


@pytest.mark.parametrize(
    "source",
    [
        "class Predictor:\n    def setup(self): raise RuntimeError('no weights')\n    def predict(self, a: str) -> str: ...\n",
        "import nothing_of_that_name\n",
    ],
    ids=["setup", "import"],
)
def test_a_failed_setup_names_the_next_step_and_nothing_can_be_run(page, start, source):
    server = start(source, ready=False)
    page.goto(f"http://127.0.0.1:{server.port}/docs")
    expect(page.locator("#health")).to_have_text("SETUP_FAILED")
    expect(page.locator("#setup-next")).to_contain_text("start the server again")
    expect(page.locator("#setup-next")).to_contain_text("coggo-server check")
    if server.get("/openapi.json").status == 200:
        expect(page.locator("#input-a")).to_be_disabled()
        expect(page.locator("#run")).to_be_disabled()
