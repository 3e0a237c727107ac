"""The page at /docs draws any output of a model, and sends no request to another host before a
click.
"""

from __future__ import annotations

import http.server
import json
import pathlib
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from http_peer import Peer
from model_sources import model_source

SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="30"><rect width="40" height="30" fill="teal"/></svg>'

#: Returns what its input says, in Python.
MODEL = model_source("browser/any_output")

CONCATENATE = """
from cog import BasePredictor, ConcatenateIterator

class Predictor(BasePredictor):
    def predict(self, code: str) -> ConcatenateIterator[str]:
        yield from eval(code)
"""


class OtherHost(Peer):
    """Another host that records the path and headers of each request."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        peer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:  # noqa: N802 - the base class's name
                peer.asked.append(self.path)
                peer.headers.append({name.lower(): value for name, value in self.headers.items()})
                self.send_response(200)
                self.send_header("Content-Type", "image/svg+xml")
                self.send_header("Content-Length", str(len(SVG)))
                self.end_headers()
                self.wfile.write(SVG.encode())

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        super().__init__(Handler)


@pytest.fixture
def other() -> Iterator[OtherHost]:
    made = OtherHost()
    yield made
    made.close()


@pytest.fixture(scope="module")
def model(start_once):
    return start_once(MODEL)


@pytest.fixture(scope="module")
def concatenate(start_once):
    return start_once(CONCATENATE)


def show(page: Page, server, code: str, status: str = "succeeded") -> None:
    """Run the code as a person does, and wait until its output is drawn."""
    page.goto(f"http://127.0.0.1:{server.port}/docs")
    page.fill("#input-code", code)
    page.click("#run")
    expect(page.locator("#status")).to_have_text(status)
    expect(page.locator("#run")).to_be_enabled()
    expect(page.locator("#download")).to_be_visible()
    expect(page.locator("#error")).to_be_hidden()


#: An output in Python, and what the page shows of it.
ANYTHING = [
    # Strings that look like addresses, and addresses that look like others.
    ("'https://x/a%zz.png'", "a%zz.png"),
    ("'https://x/%E0%A4%A.mp4'", "%E0%A4%A.mp4"),
    ("'https://x/%ff.png'", "%ff.png"),
    ("'https://x/.png'", "From x"),
    ("'https://[/a.png'", "https://[/a.png"),
    ("'https://a b/a.png'", "https://a b/a.png"),
    ("'https://x:99999/a.png'", "https://x:99999/a.png"),
    ("'http:///a.png'", "http:///a.png"),
    ("'https://x/constructor'", "https://x/constructor"),
    ("'https://x/a.constructor'", "https://x/a.constructor"),
    ("'https://x/a.__proto__'", "https://x/a.__proto__"),
    ("'https://good.example@evil.example/a.png'", "https://good.example@evil.example/a.png"),
    ("'https://good.example:pw@evil.example/a.png'", "https://good.example:pw@evil.example/a.png"),
    ("'https://g\\u043eod.example/a.png'", "From xn--"),
    ("'https://x/' + 'a' * 100_000 + '.png'", "https://x/aaa"),
    ("'https://x/\\ud800.png'", "From x"),
    ("'javascript:document.title=1'", "javascript:document.title=1"),
    ("'javascript://x/%0adocument.title=1//a.png'", "javascript://x/%0adocument.title=1//a.png"),
    ("'vbscript:x'", "vbscript:x"),
    ("'file:///etc/passwd.png'", "file:///etc/passwd.png"),
    ("'//x/a.png'", "//x/a.png"),
    ("'\\\\\\\\x\\\\a.png'", "\\\\x\\a.png"),
    ("'blob:https://x/a.png'", "blob:https://x/a.png"),
    ("['https://x/a%zz.png', {'a': 1}, ['https://x/b%zz.png']]", "b%zz.png"),
    ("{'a': 'https://x/a%zz.png', 'toString': 'https://x/b%zz.png'}", "b%zz.png"),
    # Strings that look like files.
    ("'data:constructor/x,'", "Save output.x"),
    ("'data:x/constructor,'", "Save output.constructor"),
    ("'data:__proto__/__proto__,'", "Save output.__proto__"),
    ("'data:toString/hasOwnProperty;base64,'", "Save output.hasOwnProperty"),
    ("'data:image/png;base64,!!!'", "Save output.png"),
    ("'data:image/png;base64'", "data:image/png;base64"),
    ("'data:image/png'", "data:image/png"),
    ("'data:'", "data:"),
    ("'data:,'", "data:,"),
    ("'data:;base64,QQ'", "data:;base64,QQ"),
    ("'data:image/svg+xml,%zz'", "Save output.svg"),
    ("'data:image/svg+xml,\\ud800'", "Save output.svg"),
    ("'data:video/mp4;base64,AAAA'", "Save output.mp4"),
    ("'data:audio/x-unheard-of,RIFF'", "Save output.x-unheard-of"),
    ("'data:text/html,<script>document.title=1</script>'", "Save output.html"),
    ("'data:' + 'a' * 1_000_000", "data:aaa"),
    ("'data:image/' + 'a' * 1_000_000 + ',x'", "data:image/aaa"),
    # Texts.
    ("'\\ud800'", "\ufffd"),
    ("['\\udc00', '\\ud800\\ud800']", "\ufffd"),
    ("'x' * 20_000_000", "(20000000 characters)"),
    ("'https://x/' + 'x' * 20_000_000", "(20000010 characters)"),
    ("'\\0\\x1b[31m\\u202e\\ufeff'", "[31m"),
    ("''", ""),
    # Keys.
    ("{'__proto__': {'a': 1}}", '"__proto__"'),
    (
        "{'__proto__': 'data:text/plain,x', 'constructor': 'data:text/plain,x'}",
        "__proto__: Save __proto__.txt",
    ),
    ("{'constructor': 1, 'toString': 2, 'hasOwnProperty': 3, 'valueOf': 4}", '"hasOwnProperty": 3'),
    ("{'toJSON': 'x', 'then': 'y', 'length': -1}", '"toJSON": "x"'),
    ("[{'toString': None}]", '"toString": null'),
    ("{'': '', ' ': {}, '\\ud800': 1}", '"\ufffd": 1'),
    ("{str(i): i for i in range(200_000)}", "characters)"),
    ("{str(i): 'data:text/plain,x' for i in range(3_000)}", '["999"]: Save output-999.txt'),
    # Shapes.
    ("deep(900)", "…"),
    ("deep(200, 'data:text/plain,x')", "…"),
    (
        "['data:text/plain,x', ['data:text/plain,x', ['data:text/plain,x', ['data:text/plain,x', ['data:text/plain,x']]]]]",
        "[1][1][1][1][0]: Save 1-1-1-1-0.txt",
    ),
    ("list(range(300_000))", "and 299000 more"),
    ("[{'i': i} for i in range(100_000)]", "characters)"),
    ("[[]] * 100_000", "characters)"),
    ("[]", ""),
    ("{}", ""),
    ("[None, None]", "null"),
    ("{'box': [10, 20.5, None, -4]}", '"box": [10, 20.5, null, -4]'),
    ("[None, {}, [], True, 0, '']", "true"),
    ("None", "No output."),
    ("True", "true"),
    ("10 ** 400", "Infinity"),
    ("-0.0", "0"),
]


@pytest.mark.parametrize(("code", "shown"), ANYTHING, ids=[code[:60] for code, _ in ANYTHING])
def test_any_returned_value_is_drawn(page, model, code, shown):
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url[:100]))
    show(page, model, code)
    expect(page.locator("#output")).to_contain_text(shown)
    assert page.title() != "1"
    assert [
        url
        for url in asked
        if not url.startswith((f"http://127.0.0.1:{model.port}/", "data:", "blob:"))
    ] == []
    assert page.locator("#output [href^='javascript:']").count() == 0


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("['https://x/', 'a%zz.png']", "https://x/a%zz.png"),
        ("['https://x/a%zz.png', 'b']", "https://x/a%zz.pngb"),
        ("['\\ud83d', '\\ude00']", "\ufffd"),
        ("['data:constructor/x,', 'data:image/png,']", "data:constructor/x,"),
        ("['x' * 600_000] * 3", "(1800000 characters)"),
    ],
)
def test_any_yielded_items_are_drawn(page, concatenate, code, shown):
    show(page, concatenate, code)
    expect(page.locator("#output")).to_contain_text(shown)


@pytest.mark.parametrize(
    "code", ["print('x' * 1_000_000)", "print('9%\\r' * 200_000, end='')", "print('\\r\\r\\n\\r')"]
)
def test_long_lines_of_logs_are_drawn(page, model, code):
    show(page, model, code)
    expect(page.locator("#logs-box")).to_be_visible()


def test_metrics_of_any_kind_and_name_are_drawn(page, model):
    values = {
        "toString": 1,
        "constructor": {"__proto__": None},
        "predicted": [[1], "x"],
        "deep": 1.5,
    }
    show(
        page,
        model,
        "[current_scope().record_metric(k, v) for k, v in " + repr(values) + ".items()]",
    )
    expect(page.locator("#metrics")).to_contain_text("constructor")
    expect(page.locator("#recent li button").first).to_be_visible()


def test_the_saved_file_is_the_answer_of_the_server(page, model):
    show(page, model, "{'__proto__': 2**53 + 1}")
    with page.expect_download() as download:
        page.click("#download")
    text = pathlib.Path(download.value.path()).read_text()
    assert '{"__proto__":9007199254740993}' in text and json.loads(text)["status"] == "succeeded"


def test_a_picture_of_another_host_is_loaded_on_a_click_that_names_it(page, model, other):
    host = other.url.removeprefix("http://")
    show(page, model, repr([f"{other.url}/a.png?x=1", f"{other.url}/b.png"]))
    button = page.locator("#output button").first
    expect(button).to_have_text(f"Show the image from {host}")
    expect(page.locator("#output figcaption").first).to_have_text(f"[0]: From {host}: a.png")
    assert other.asked == []
    button.click()
    picture = page.frame_locator("#output iframe").locator("img")
    expect(picture).to_be_visible()
    assert picture.evaluate("node => node.decode().then(() => node.naturalWidth)") == 40
    assert other.asked == ["/a.png?x=1"], "the picture that was clicked, once"
    assert "referer" not in other.headers[0]


@pytest.mark.parametrize(("name", "kind"), [("a.mp4", "video"), ("a.wav", "audio")])
def test_video_and_audio_of_another_host_are_loaded_on_a_click(page, model, other, name, kind):
    show(page, model, repr({"made": f"{other.url}/{name}"}))
    expect(page.locator("#output figcaption")).to_contain_text("made: From ")
    assert other.asked == []
    page.click(f"#output button >> text=Show the {kind}")
    expect(page.frame_locator("#output iframe").locator(kind)).to_be_visible()


def test_a_picture_of_another_host_is_loaded_without_the_token(page, start, other):
    server = start(MODEL, env={"COGGO_AUTH_TOKEN": "let me in"})
    page.goto(f"http://127.0.0.1:{server.port}/docs")
    page.fill("#token", "let me in")
    page.click("#login button")
    page.fill("#input-code", repr(f"{other.url}/a.png"))
    page.click("#run")
    page.click("#output button")
    picture = page.frame_locator("#output iframe").locator("img")
    assert picture.evaluate("node => node.decode().then(() => node.naturalWidth)") == 40
    assert "authorization" not in other.headers[0]


def test_the_policy_keeps_the_page_from_other_hosts(browser: Browser, model, other):
    """Even if the page itself sent the request."""
    context = browser.new_context()
    page = context.new_page()
    complaints: list[str] = []
    page.on(
        "console",
        lambda message: (
            complaints.append(message.text) if "Content Security" in message.text else None
        ),
    )
    page.goto(f"http://127.0.0.1:{model.port}/docs")
    expect(page.locator("#main")).to_be_visible()
    refused = page.evaluate(
        """async (url) => {
        const refused = [];
        document.addEventListener("securitypolicyviolation", (event) => refused.push(event.effectiveDirective));
        for (const tag of ["img", "video", "audio", "iframe", "embed", "script"]) {
            const node = document.createElement(tag);
            node.src = url;
            document.body.append(node);
        }
        const style = document.createElement("link");
        Object.assign(style, { rel: "stylesheet", href: url });
        document.head.append(style);
        await fetch(url).catch(() => {});
        while (refused.length < 8) await new Promise((resolve) => setTimeout(resolve, 10));
        return refused;
    }""",
        f"{other.url}/x.png",
    )
    context.close()
    assert sorted(set(refused)) == [
        "connect-src",
        "frame-src",
        "img-src",
        "media-src",
        "object-src",
        "script-src-elem",
        "style-src-elem",
    ]
    assert complaints and other.asked == []


def test_broken_escapes_in_the_address_of_the_page_are_ignored(page, model):
    page.goto(f"http://127.0.0.1:{model.port}/docs#%zz")
    expect(page.locator("#error")).to_be_visible()
    expect(page.locator("#main")).to_be_visible()
