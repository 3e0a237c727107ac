"""The page draws files at any place of an output, and hostile contents of a file stay harmless."""

from __future__ import annotations

import pathlib

import pytest
from playwright.sync_api import Page, expect

from model_sources import model_source

MODEL = model_source("browser/output_files")


@pytest.fixture(scope="module")
def model(start_once):
    return start_once(MODEL)


def show(page: Page, server, hostile: bool = False) -> None:
    page.goto(f"http://127.0.0.1:{server.port}/docs")
    page.set_checked("#input-hostile", hostile)
    page.click("#run")
    expect(page.locator("#status")).to_have_text("succeeded")


def captions(page: Page) -> list[str]:
    return page.locator("#output figcaption").all_inner_texts()


def test_files_anywhere_in_an_output_are_drawn_with_their_path(page, model):
    show(page, model)
    assert captions(page) == [
        "mask: Save mask.svg",
        "boxes[0].crop: Save boxes-0-crop.svg",
        "boxes[1].crop: Save boxes-1-crop.wav",
        "frames[0][0]: Save frames-0-0.mp4",
        "notes: Save notes.txt",
        "weights: Save weights.bin",
    ]
    drawn = page.locator("#output figure").evaluate_all(
        "all => all.map((one) => one.firstElementChild.localName)"
    )
    assert drawn == ["img", "img", "audio", "video", "pre", "figcaption"]
    expect(page.locator("#output figure pre")).to_have_text("größer")
    rest = page.locator("#output > div > pre")
    expect(rest).to_contain_text('"label": "cat"')
    expect(rest).to_contain_text('"mask": "‹mask.svg›"')
    with page.expect_download() as download:
        page.click("text=Save mask.svg")
    assert download.value.suggested_filename == "mask.svg"
    assert "<svg" in pathlib.Path(download.value.path()).read_text()


def test_hostile_files_stay_harmless(page, model):
    show(page, model, hostile=True)
    assert captions(page) == [
        "[0].b[0]: Save 0-b-0.html",
        "[1].svg: Save 1-svg.svg",
        "[2].large: Save 2-large.txt",
        '[2]["../../e\u202etc/passwd"]: Save 2-e-tc-passwd.png',
    ]
    assert (
        page.locator(
            "#output [href^='javascript:'], #output iframe, #output script, #output object"
        ).count()
        == 0
    )
    assert len(page.locator("#output figure pre").nth(1).inner_text()) < 30_000
    expect(page.locator("#output > div > pre")).to_contain_text("javascript:document.title")
    assert page.title() != "broken in"
    assert page.locator("#output figcaption a:not([download])").count() == 0
