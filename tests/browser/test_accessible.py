"""The page at /docs is accessible: axe finds no violation, and the keyboard reaches every
control.
"""

from __future__ import annotations

import importlib.resources
import pathlib

import pytest
from playwright.sync_api import Page, expect

from model_sources import model_source

AXE = importlib.resources.files("axe_playwright_python").joinpath("axe.min.js").read_text()

FORM = model_source("browser/accessible_form")

#: Returns what its input says, in Python.
SHOWS = """
import time
from typing import Any
from cog import BasePredictor

SVG = "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' width='40' height='30'><rect width='40' height='30'/></svg>"

class Predictor(BasePredictor):
    def predict(self, code: str) -> Any:
        print("working")
        return eval(code)
"""

OUTPUTS = {
    "a string": "'words ' * 300",
    "a number": "3.5",
    "nothing": "None",
    "an object": "{'a': [1, {'b': None}]}",
    "a long list": "list(range(300))",
    "a picture": "SVG",
    "pictures": "[SVG, SVG, SVG]",
    "an object with a picture": "{'picture': SVG, 'score': 1}",
    "a sound": "'data:audio/wav;base64,UklGRg=='",
    "a film": "'data:video/mp4;base64,AAAA'",
    "a file": "'data:application/zip;base64,UEsDBA=='",
    "a picture elsewhere": "'https://pictures.test/a.png'",
}


def open_page(page: Page, server) -> None:
    page.goto(f"http://127.0.0.1:{server.port}/docs")
    expect(page.locator("#main")).to_be_visible()
    expect(page.locator("#health")).not_to_have_text("…")


def run(page: Page, status: str) -> None:
    page.click("#run")
    expect(page.locator("#status")).to_have_text(status)


def violations(page: Page, within: str = "html") -> list[str]:
    """The violations that axe finds in the page or a part of it, each with its place."""
    if not page.evaluate("'axe' in window"):
        # By the debugger, so that the page's policy stays in force.
        page.evaluate(f"() => {{ {AXE} }}")
    found = page.evaluate("(within) => axe.run(within, { resultTypes: ['violations'] })", within)
    return [
        f"{violation['id']}: {node['html'][:200]} {node['failureSummary']}"
        for violation in found["violations"]
        for node in violation["nodes"]
    ]


@pytest.fixture(scope="module")
def form(start_once):
    return start_once(FORM)


@pytest.fixture(scope="module")
def shows(start_once):
    return start_once(SHOWS)


def look(page: Page, scheme: str, width: int) -> None:
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.set_viewport_size({"width": width, "height": 844})


def violations_in_any_look(page: Page) -> list[str]:
    found = []
    for scheme in ("light", "dark"):
        for width in (390, 1280):
            look(page, scheme, width)
            found += [f"{scheme} {width}: {violation}" for violation in violations(page)]
    return found


@pytest.fixture(params=["light", "dark"])
def scheme(request):
    return request.param


@pytest.fixture(params=[390, 1280])
def width(page, request):
    look(page, "light", request.param)
    return request.param


def fill(page: Page, directory: pathlib.Path) -> None:
    """Fill in files and rows, and open the code."""
    picture = directory / "a picture with a long name.svg"
    picture.write_text('<svg xmlns="http://www.w3.org/2000/svg" width="40" height="30"/>')
    page.set_input_files("#input-image", picture)
    for _ in range(2):
        page.click("#input-masks")
    page.locator('[data-name="masks"] input[type=file]').first.set_input_files(picture)
    page.click("#code summary")


def test_axe_finds_nothing_in_the_form(page, form, scheme, width, tmp_path):
    look(page, scheme, width)
    open_page(page, form)
    assert violations(page) == []
    fill(page, tmp_path)
    assert violations(page) == []
    page.click("#run")
    expect(page.locator("#input-prompt-problem")).to_be_visible()
    assert violations(page) == []


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_axe_finds_nothing_in_any_output(page, shows, scheme, width):
    look(page, scheme, width)
    open_page(page, shows)
    for name, code in OUTPUTS.items():
        page.fill("#input-code", code)
        run(page, "succeeded")
        assert (name, violations(page, "#output")) == (name, [])
    page.fill("#input-code", "1 / 0")
    run(page, "failed")
    assert violations(page) == []
    page.fill("#input-code", "time.sleep(60)")
    run(page, "processing")
    assert violations(page) == []
    page.click("#cancel")
    expect(page.locator("#status")).to_have_text("canceled")
    assert violations(page) == []


def test_axe_finds_nothing_before_there_is_a_form(page, start, tmp_path):
    gate = tmp_path / "gate"
    server = start(
        "import pathlib, time\nclass Predictor:\n    def setup(self):\n        print('loading weights', flush=True)\n"
        f"        while not pathlib.Path({str(gate)!r}).exists(): time.sleep(0.01)\n        raise RuntimeError('no weights')\n"
        "    def predict(self) -> str: return 'ok'\n",
        ready=False,
    )
    page.goto(f"http://127.0.0.1:{server.port}/docs")
    expect(page.locator("#setup-logs")).to_contain_text("loading weights")
    assert violations_in_any_look(page) == []
    gate.touch()
    expect(page.locator("#setup-logs")).to_contain_text("no weights")
    assert violations_in_any_look(page) == []


def test_axe_finds_nothing_while_the_page_asks_for_a_token(page, start):
    server = start(SHOWS, env={"COGGO_AUTH_TOKEN": "let me in"})
    page.goto(f"http://127.0.0.1:{server.port}/docs")
    expect(page.locator("#login")).to_be_visible()
    assert violations_in_any_look(page) == []
    page.fill("#token", "let me out")
    page.click("#login button")
    expect(page.locator("#token-problem")).to_be_visible()
    assert violations_in_any_look(page) == []


#: The focused element, and those of nine points of it that another element covers or that lie
#: outside of the window.
FOCUSED = """() => {
    const node = document.activeElement;
    const name = node.id || node.outerHTML.slice(0, 80);
    const box = node.getBoundingClientRect();
    if (node.closest(".actions") || box.height > innerHeight / 2) return [name, null];
    const at = (x, y) => document.elementFromPoint(x, y);
    for (const x of [0.05, 0.5, 0.95]) {
        for (const y of [0.1, 0.5, 0.9]) {
            const [left, top] = [box.left + box.width * x, box.top + box.height * y];
            const found = at(left, top);
            if (!found || !(node.contains(found) || found.contains(node))) {
                return [name, `at ${left},${top} under ${found && found.outerHTML.slice(0, 100)}`];
            }
        }
    }
    return [name, null];
}"""


def test_the_focused_element_is_never_hidden(page, form, width, tmp_path):
    open_page(page, form)
    fill(page, tmp_path)
    page.evaluate("scrollTo(0, 0)")
    page.focus("h1 ~ nav a")
    seen: list[str] = []
    hidden: list[str] = []
    for key in ("Tab", "Shift+Tab"):
        for _ in range(80):
            page.keyboard.press(key)
            name, found = page.evaluate(FOCUSED)
            if name.startswith("<body"):
                break
            seen.append(name)
            if found:
                hidden.append(f"{name} {found}")
    assert hidden == []
    assert len(set(seen)) > 25 and "input-anything" in seen and "run" in seen


def test_every_field_of_a_list_fits_its_box(page, form, width, tmp_path):
    open_page(page, form)
    fill(page, tmp_path)
    page.click("#input-counts")
    cut = page.evaluate(
        """() => [...document.querySelectorAll("#fields input, #fields button, #fields textarea, #fields select, #fields img")]
            .filter((node) => {
                const inner = node.getBoundingClientRect();
                const outer = node.closest(".field").getBoundingClientRect();
                return (node.type !== "checkbox" && inner.width < 24) || inner.left < outer.left - 0.5 || inner.right > outer.right + 0.5
                    || (node.type === "file" && inner.width < 240) || (node.type === "range" && inner.width < 100);
            }).map((node) => `${node.outerHTML} ${node.getBoundingClientRect().width}`)"""
    )
    assert cut == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
