"""The page at /docs, as a person uses it."""

from __future__ import annotations

import json
import pathlib
import re
import subprocess
import sys

import pytest
from playwright.sync_api import Page, expect

from model_sources import model_source

KINDS = model_source("browser/page")

SHOWS = model_source("browser/page_shows")

STREAM = """
import pathlib, time
from cog import BasePredictor, ConcatenateIterator, Input

class Predictor(BasePredictor):
    def predict(self, gate: str) -> ConcatenateIterator[str]:
        for word in ("one ", "two ", "three"):
            yield word
            while word != "three" and not (pathlib.Path(gate) / word.strip()).exists():
                time.sleep(0.01)
"""


def open_page(page: Page, server, path: str = "/docs") -> None:
    page.goto(f"http://127.0.0.1:{server.port}{path}")
    expect(page.locator("#main")).to_be_visible()


def run(page: Page) -> None:
    page.click("#run")


def ended(page: Page, status: str) -> None:
    expect(page.locator("#status")).to_have_text(status)


@pytest.fixture(scope="module")
def kinds(start_once):
    return start_once(KINDS)


@pytest.fixture(scope="module")
def shows(start_once):
    return start_once(SHOWS)


def result(page: Page) -> dict:
    return json.loads(page.locator("#output pre").inner_text())


def test_every_kind_of_input_reaches_the_model(page, kinds, tmp_path):
    for name in ("one", "two", "three"):
        (tmp_path / f"{name}.txt").write_text(f"file {name}")
    open_page(page, kinds)
    page.fill("#input-text", 'say "hi"\nto <all>')
    page.locator('[data-name="whole"] input[type=range]').fill("7")
    expect(page.locator("#input-whole")).to_have_value("7")
    page.fill("#input-big", "123456789012345678901")
    page.fill("#input-real", "0.25")
    page.uncheck("#input-flag")
    page.select_option("#input-maybe", label="true")
    page.select_option("#input-unsure", label="false")
    page.select_option("#input-choice", label="<b>three</b>")
    page.select_option("#input-number_choice", label="16")
    page.set_input_files("#input-image", tmp_path / "one.txt")
    for name in ("two", "three"):
        page.click("#input-several")
        page.locator('[data-name="several"] input[type=file]').last.set_input_files(
            tmp_path / f"{name}.txt"
        )
    page.fill("#input-secret", "hush")
    page.click("#input-tags")
    page.locator('[data-name="tags"] textarea').last.fill("b")
    for number in ("4", "5"):
        page.click("#input-counts")
        page.locator('[data-name="counts"] input').last.fill(number)
    page.fill("#input-extra", '{"deep": [1, 2.50]}')
    page.fill("#input-anything", "[null]")
    run(page)
    ended(page, "succeeded")
    assert result(page) == {
        "text": 'say "hi"\nto <all>',
        "whole": 7,
        "big": "123456789012345678901",
        "real": 0.25,
        "flag": False,
        "maybe": True,
        "choice": "<b>three</b>",
        "number_choice": 16,
        "image": "file one",
        "several": ["file two", "file three"],
        "secret": 4,
        "tags": ["a", "b"],
        "counts": [4, 5],
        "extra": {"deep": [1, 2.5]},
        "anything": [None],
        "unsure": False,
    }


EITHER = """
from typing import Literal, Union
from cog import BasePredictor, Path

class Predictor(BasePredictor):
    def predict(self, either: Union[Path, str] = "x", size: Literal["auto", 512, None] = None) -> dict:
        return {"either": either.read_text() if isinstance(either, Path) else either, "size": size}
"""


def test_a_string_or_a_file_is_typed_and_a_choice_keeps_its_type(page, start):
    open_page(page, start(EITHER))
    page.fill("#input-either", "12")
    page.select_option("#input-size", label="512")
    run(page)
    ended(page, "succeeded")
    assert result(page) == {"either": "12", "size": 512}
    page.fill("#input-either", "data:,words")
    page.select_option("#input-size", label="none")
    run(page)
    expect(page.locator("#output pre")).to_contain_text("words")
    assert result(page) == {"either": "words", "size": None}


def test_defaults_are_sent_as_they_stand_and_reset_brings_them_back(page, kinds):
    open_page(page, kinds)
    page.fill("#input-text", "x")
    page.fill("#input-whole", "5")
    page.locator('[data-name="tags"] >> text=Remove').click()
    page.click("#reset")
    page.fill("#input-text", "y")
    run(page)
    ended(page, "succeeded")
    got = result(page)
    assert (
        got["text"],
        got["whole"],
        got["tags"],
        got["maybe"],
        got["image"],
        got["extra"],
        got["unsure"],
    ) == (
        "y",
        3,
        ["a"],
        None,
        None,
        {},
        None,
    )


def test_a_large_file_is_sent_as_an_upload(page, kinds, tmp_path):
    (tmp_path / "large.txt").write_text("x" * (3 << 20))
    open_page(page, kinds)
    page.fill("#input-text", "x")
    page.set_input_files("#input-image", tmp_path / "large.txt")
    with page.expect_request("**/v1/files"):
        run(page)
    ended(page, "succeeded")
    assert result(page)["image"] == "x" * 100


def test_a_file_can_be_dropped(page, kinds):
    open_page(page, kinds)
    page.fill("#input-text", "x")
    page.evaluate(
        """() => {
        const transfer = new DataTransfer();
        transfer.items.add(new File(["dropped"], "d.txt", { type: "text/plain" }));
        const node = document.querySelector('[data-name="image"] .drop');
        node.dispatchEvent(new DragEvent("dragover", { dataTransfer: transfer, bubbles: true, cancelable: true }));
        node.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
    }"""
    )
    expect(page.locator('[data-name="image"]')).to_contain_text("d.txt, 7 bytes")
    run(page)
    ended(page, "succeeded")
    assert result(page)["image"] == "dropped"


def test_a_refusal_of_the_server_is_shown_at_the_input(page, kinds):
    open_page(page, kinds)
    page.fill("#input-whole", "99")
    page.fill("#input-extra", "[1]")
    run(page)
    expect(page.locator("#input-text-problem")).to_be_visible()
    expect(page.locator("#input-whole-problem")).to_contain_text("at most 9")
    expect(page.locator("#input-extra-problem")).to_be_visible()
    expect(page.locator("#input-text")).to_be_focused()
    page.fill("#input-text", "x")
    expect(page.locator("#input-text-problem")).to_be_hidden()


@pytest.mark.parametrize(
    ("field", "text", "problem"), [("big", "many", "not a number"), ("extra", "{", "not JSON")]
)
def test_an_input_that_cannot_be_sent_is_shown_at_once(page, kinds, field, text, problem):
    open_page(page, kinds)
    page.fill("#input-text", "x")
    page.fill(f"#input-{field}", text)
    run(page)
    expect(page.locator(f"#input-{field}-problem")).to_contain_text(problem)


def test_text_of_the_model_is_never_markup(page, kinds):
    open_page(page, kinds)
    expect(page.locator("#fields")).to_contain_text("<script>document.title = 'broken in'</script>")
    assert page.title() != "broken in"
    assert page.locator("#fields script, #fields b").count() == 0


@pytest.mark.parametrize("what", ["image", "audio", "video", "file"])
def test_files_are_shown_and_can_be_saved(page, shows, what):
    open_page(page, shows)
    page.fill("#input-what", what)
    run(page)
    ended(page, "succeeded")
    tag = {"image": "img", "audio": "audio", "video": "video"}.get(what)
    if tag:
        assert page.locator(f"#output {tag}").get_attribute("src").startswith(f"data:{what}/")
    if what == "image":
        page.wait_for_function("document.querySelector('#output img').naturalWidth === 40")
    with page.expect_download() as download:
        page.click("#output figcaption a")
    assert pathlib.Path(download.value.path()).stat().st_size > 0


def test_text_and_json_are_shown_as_they_are(page, shows):
    open_page(page, shows)
    run(page)
    ended(page, "succeeded")
    expect(page.locator("#output")).to_have_text("plain <b>text</b>")
    page.fill("#input-what", "json")
    run(page)
    page.wait_for_selector("#output pre")
    assert result(page) == {"list": [1, {"deep": None}], "html": "<i>not markup</i>"}


def test_a_failure_shows_its_error_its_logs_and_its_metrics(page, shows):
    open_page(page, shows)
    page.fill("#input-what", "fail")
    run(page)
    ended(page, "failed")
    expect(page.locator("#error")).to_have_text("the model says <b>no</b>")
    expect(page.locator("#logs")).to_contain_text("working on fail")
    expect(page.locator("#logs")).to_contain_text("Traceback")
    expect(page.locator("#metrics")).to_contain_text("tokens")
    expect(page.locator("#run")).to_be_enabled()


def test_a_running_prediction_shows_its_progress_and_can_be_canceled(page, shows):
    open_page(page, shows)
    page.fill("#input-what", "sleep")
    run(page)
    ended(page, "processing")
    expect(page.locator("#progress")).to_have_attribute(
        "value", re.compile(r"^0\.\d+$")
    )  # the run continues meanwhile
    expect(page.locator("#logs")).to_contain_text("working on sleep")
    expect(page.locator("#run")).to_be_disabled()
    page.click("#cancel")
    ended(page, "canceled")
    expect(page.locator("#progress")).to_be_hidden()
    expect(page.locator("#run")).to_be_enabled()


def test_a_busy_model_keeps_what_is_shown_and_runs_when_a_slot_is_free(page, shows):
    open_page(page, shows)
    run(page)
    ended(page, "succeeded")
    shows.predict({"what": "sleep"}, {"Prefer": "respond-async"}, id="in-the-way")
    try:
        page.fill("#input-what", "json")
        run(page)
        expect(page.locator("#turn")).to_contain_text("busy")
        expect(page.locator("#health")).to_have_text("BUSY")
        expect(page.locator("#input-what")).to_have_value("json")
        expect(page.locator("#output")).to_have_text("plain <b>text</b>")
        expect(page.locator("#status")).to_have_text("succeeded")
        page.click("text=Run when a slot is free")
        expect(page.locator("#turn")).to_contain_text("This runs when a slot is free")
    finally:
        shows.ask("POST", "/predictions/in-the-way/cancel")
        shows.ended("in-the-way")
    expect(page.locator("#output pre")).to_contain_text("not markup")
    expect(page.locator("#turn")).to_be_hidden()


def test_output_is_shown_while_it_comes_and_outlives_a_reload(page, start, tmp_path):
    server = start(STREAM)
    open_page(page, server)
    page.fill("#input-gate", str(tmp_path))
    run(page)
    expect(page.locator("#output")).to_have_text("one")
    page.reload()
    expect(page.locator("#output")).to_have_text("one")
    expect(page.locator("#input-gate")).to_have_value(str(tmp_path))
    (tmp_path / "one").touch()
    expect(page.locator("#output")).to_have_text("one two")
    (tmp_path / "two").touch()
    ended(page, "succeeded")
    expect(page.locator("#output")).to_have_text("one two three")


def test_recent_predictions_can_be_opened_again(page, shows):
    shows.predict({"what": "text"}, id="an earlier one")
    open_page(page, shows)
    page.click('#recent >> text="an earlier one"')
    ended(page, "succeeded")
    expect(page.locator("#output")).to_have_text("plain <b>text</b>")
    expect(page.locator("#input-what")).to_have_value("text")


@pytest.mark.parametrize(
    ("language", "command"),
    [
        ("curl", ["sh"]),
        ("Python", [sys.executable]),
        ("JavaScript", ["node", "--input-type=module"]),
    ],
)
def test_the_code_sends_the_same_request(page, kinds, tmp_path, language, command):
    (tmp_path / "it's.txt").write_text("file content")
    open_page(page, kinds)
    page.fill("#input-text", 'it\'s "true" \\ null')
    page.set_input_files("#input-image", tmp_path / "it's.txt")
    page.select_option("#input-maybe", label="false")
    page.click("#code summary")
    page.click(f"#code >> role=tab[name={language}]")
    code = page.locator("#snippet").inner_text()
    done = subprocess.run(
        command, input=code, capture_output=True, text=True, cwd=tmp_path, timeout=30
    )
    assert "file content" in done.stdout and done.returncode == 0, code + done.stdout + done.stderr
    assert kinds.get("/predictions").json["results"][0]["status"] == "succeeded"


def test_the_page_works_by_keyboard_alone(page, shows):
    open_page(page, shows)
    page.focus("#input-what")
    page.keyboard.press("Control+a")
    page.keyboard.type("json")
    page.keyboard.press("Control+Enter")
    ended(page, "succeeded")
    assert result(page)["html"] == "<i>not markup</i>"


def test_setup_is_shown_while_it_runs(page, start, tmp_path):
    gate = tmp_path / "gate"
    server = start(
        f"import pathlib, time\nclass Predictor:\n    def setup(self):\n        print('loading weights', flush=True)\n"
        f"        while not pathlib.Path({str(gate)!r}).exists(): time.sleep(0.01)\n    def predict(self) -> str: return 'ok'\n",
        ready=False,
    )
    page.goto(f"http://127.0.0.1:{server.port}/docs")
    expect(page.locator("#setup-logs")).to_contain_text("loading weights")
    gate.touch()
    expect(page.locator("#health")).to_have_text("READY")
    expect(page.locator("#setup")).to_be_hidden()
    run(page)
    ended(page, "succeeded")


def test_a_failed_setup_is_shown_with_its_traceback(page, start):
    server = start(
        "class Predictor:\n    def setup(self): raise RuntimeError('no weights')\n    def predict(self) -> str: ...\n",
        ready=False,
    )
    page.goto(f"http://127.0.0.1:{server.port}/docs")
    expect(page.locator("#health")).to_have_text("SETUP_FAILED")
    expect(page.locator("#setup-logs")).to_contain_text("no weights")


def test_a_token_is_asked_for_and_used(page, start):
    server = start(SHOWS, env={"COGGO_AUTH_TOKEN": "let me in"})
    page.goto(f"http://127.0.0.1:{server.port}/docs")
    expect(page.locator("#login")).to_be_visible()
    expect(page.locator("#token-problem")).to_be_hidden()
    page.fill("#token", "let me out")
    page.click("#login button")
    expect(page.locator("#token-problem")).to_have_text("The server doesn't take this token.")
    page.fill("#token", "let me in")
    page.click("#login button")
    expect(page.locator("#main")).to_be_visible()
    run(page)
    ended(page, "succeeded")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_fits_the_screen(page, kinds, scheme, width):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 844})
    open_page(page, kinds)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    ground = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert (sum(map(int, ground[4:-1].split(","))) > 380) == (scheme == "light"), ground


def test_the_page_requests_nothing_from_other_hosts(page, shows):
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    open_page(page, shows)
    run(page)
    ended(page, "succeeded")
    assert [
        url
        for url in asked
        if not url.startswith((f"http://127.0.0.1:{shows.port}/", "data:", "blob:"))
    ] == []
