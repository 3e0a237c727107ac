"""The form at /docs describes each input in the words of the API, and accepts files dropped or
pasted anywhere on the page.
"""

from __future__ import annotations

import json
import pathlib

import pytest
from playwright.sync_api import Page, expect

from model_sources import model_source

MODEL = model_source("browser/form")

WORDS = {
    "some_text": "string, 1 to 1000 characters",
    "short": "string, at most 1 character",
    "code": "string, exactly 3 characters, matches ^[a-z]+$",
    "whole": "integer, 1 to 9",
    "real": "number, at least 0",
    "flag": "boolean",
    "seed": "integer, optional",
    "style": "string, one of 2",
    "size": "string or integer, one of 2, optional",
    "image": "file, optional",
    "notes": "file, optional",
    "either": "file or string",
    "secret": "secret, optional",
    "more": "list of file, at most 2 items",
    "tags": "list of string, 1 to 9 items",
    "counts": "list of integer, each 1 to 9",
    "box": "object with width (integer), height (integer, optional)",
    "must": "object with width (integer), height (integer, optional)",
    "weights": "object of number",
    "anything": "any value, optional",
}


@pytest.fixture(scope="module")
def model(start_once):
    return start_once(MODEL)


def open_page(page: Page, server) -> None:
    page.goto(f"http://127.0.0.1:{server.port}/docs")
    expect(page.locator("#main")).to_be_visible()


def bring(page: Page, how: str, *files: tuple[str, str], to: str = "body", text: str = "") -> None:
    """Drop or paste files, given as name and media type; each holds its name."""
    page.evaluate(
        """([how, files, to, text]) => {
        const transfer = new DataTransfer();
        for (const [name, type] of files) transfer.items.add(new File([name], name, { type }));
        if (text) transfer.setData("text/plain", text);
        const made = how === "paste"
            ? new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true, cancelable: true })
            : new DragEvent(how, { dataTransfer: transfer, bubbles: true, cancelable: true });
        document.querySelector(to).dispatchEvent(made);
    }""",
        [how, files, to, text],
    )


def test_each_input_says_what_it_takes_in_the_words_of_the_api(page, model):
    open_page(page, model)
    shown = page.evaluate(
        """() => Object.fromEntries([...document.querySelectorAll(".field")].map((field) =>
            [field.querySelector(".head code").textContent, field.querySelector(".head .quiet").textContent]))"""
    )
    assert shown == WORDS


def test_types_have_the_same_words_as_on_the_command_line(page, model):
    """`cmd/coggo-server/describe_test.go` reads the same table."""
    rows = json.loads(pathlib.Path(__file__).with_name("kinds.json").read_text())
    open_page(page, model)
    shown = page.evaluate("(schemas) => schemas.map(kindOf)", [row["schema"] for row in rows])
    assert shown == [row["kind"] for row in rows]


def test_the_docstring_is_above_the_form(page, model):
    open_page(page, model)
    expect(page.locator("#about")).to_have_text(
        "Reads what it is given.\n\nAnd <b>tells</b> about it."
    )


def test_only_required_inputs_have_a_star(page, model):
    open_page(page, model)
    starred = page.locator(".field:has(.required)").evaluate_all(
        "(nodes) => nodes.map((node) => node.dataset.name)"
    )
    assert starred == ["some_text", "must"]
    expect(page.get_by_role("textbox", name="Some Text (required)")).to_be_visible()


def test_each_row_of_a_list_has_its_own_name(page, model):
    open_page(page, model)
    for _ in range(2):
        page.get_by_role("button", name="Add to Tags").click()
    page.get_by_label("Tags 3", exact=True).fill("c")
    page.get_by_role("button", name="Remove Tags 2").click()
    expect(page.get_by_label("Tags 2", exact=True)).to_have_value("c")


@pytest.mark.parametrize("how", ["drop", "paste"])
def test_a_dropped_file_fills_the_first_empty_input_that_accepts_it(page, model, how):
    open_page(page, model)
    page.fill("#input-some_text", "x")
    page.fill("#input-must", '{"width": 1}')
    expect(page.locator("#take-hint")).to_be_visible()
    for name, media_type, where in [
        ("a.png", "image/png", "Image"),
        ("b.png", "image/png", "More"),
        ("c.md", "text/markdown", "Notes"),
        ("d.txt", "text/plain", "More"),
    ]:
        bring(page, how, (name, media_type))
        expect(page.locator("#said")).to_have_text(f"{name} is now in {where}.")
    for name, media_type in [
        ("e.png", "image/png"),
        ("f.bin", ""),
    ]:  # each input has a file, so it is ignored
        bring(page, how, (name, media_type))
        expect(page.locator("#said")).to_have_text(f"No empty input takes {name}.")
    page.click("#run")
    expect(page.locator("#status")).to_have_text("succeeded")
    assert json.loads(page.locator("#output pre").inner_text()) == {
        "image": "a.png",
        "notes": "c.md",
        "more": ["b.png", "d.txt"],
    }


def test_several_files_can_be_dropped_at_once(page, model):
    open_page(page, model)
    bring(page, "dragover", ("a.png", "image/png"))
    expect(page.locator("html")).to_have_class("over")
    bring(page, "drop", ("a.png", "image/png"), ("n.txt", "text/plain"))
    expect(page.locator("html")).not_to_have_class("over")
    expect(page.locator("#said")).to_have_text("a.png is now in Image. n.txt is now in Notes.")
    assert page.locator("#input-image").evaluate("(picker) => picker.files[0].name") == "a.png"


LIST_FIRST = """
from typing import List
from cog import BasePredictor, Input, Path

class Predictor(BasePredictor):
    def predict(self, many: List[Path] = Input(default=[]), one: Path = Input(default=None)) -> str:
        return ""
"""


def test_a_list_that_has_a_file_gets_more_once_no_input_is_empty(page, start):
    open_page(page, start(LIST_FIRST))
    files = [(f"{n}.txt", "text/plain") for n in range(3)]
    bring(page, "drop", *files)
    expect(page.locator("#said")).to_have_text(
        "0.txt is now in Many. 1.txt is now in One. 2.txt is now in Many."
    )


def test_pasted_text_stays_text_where_it_is_typed(page, model):
    open_page(page, model)
    bring(page, "paste", ("cells.png", "image/png"), to="#input-some_text", text="cells")
    expect(page.locator("#said")).to_be_empty()
    bring(page, "paste", ("shot.png", "image/png"), to="#input-some_text")
    expect(page.locator("#said")).to_have_text("shot.png is now in Image.")


EXAMPLES = [
    {"name": "Two pictures", "input": {"some_text": "first", "must": {"width": 3}, "image": "in/a.png", "more": ["in/a.png"], "whole": 7}},
    {"input": {"some_text": "second", "must": {"width": 4}, "notes": "data:text/plain,noted"}},
]  # fmt: skip


@pytest.fixture(scope="module")
def with_examples(start_once, tmp_path_factory):
    directory = tmp_path_factory.mktemp("with-examples")
    (directory / "in").mkdir()
    (directory / "in" / "a.png").write_text("pixels")
    (directory / "examples.json").write_text(json.dumps(EXAMPLES))
    return start_once(MODEL, model_dir=directory)


def test_a_click_fills_the_form_with_an_example(page, with_examples):
    open_page(page, with_examples)
    page.get_by_role("button", name="Two pictures").click()
    expect(page.locator("#said")).to_have_text("Two pictures is now in the form.")
    expect(page.locator("#input-whole")).to_have_value("7")
    expect(page.locator('[data-name="image"]')).to_contain_text("a.png, 6 bytes")
    page.click("#run")
    expect(page.locator("#status")).to_have_text("succeeded")
    result = page.locator("#output pre")
    assert json.loads(result.inner_text()) == {"image": "pixels", "notes": None, "more": ["pixels"]}
    page.get_by_role("button", name="Example 2").click()
    expect(page.locator("#input-whole")).to_have_value(
        "3"
    )  # what an example leaves out has its default
    page.click("#run")
    expect(result).to_contain_text("noted")
    assert json.loads(result.inner_text()) == {"image": None, "notes": "noted", "more": []}


def test_an_example_whose_file_is_missing_says_so(page, start, tmp_path):
    (tmp_path / "a.png").write_text("pixels")
    (tmp_path / "examples.json").write_text(
        json.dumps([{"name": "Gone", "input": {"image": "a.png"}}])
    )
    source = "from cog import BasePredictor, Path\nclass Predictor(BasePredictor):\n    def predict(self, image: Path) -> str: ...\n"
    server = start(source, model_dir=tmp_path)
    open_page(page, server)
    button = page.get_by_role("button", name="Gone")
    expect(button).to_be_visible()
    (tmp_path / "a.png").unlink()
    button.click()
    expect(page.locator("#said")).to_have_text("Gone can't be read: no example has this file")
