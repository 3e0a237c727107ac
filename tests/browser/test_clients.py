"""The programs of docs/clients.md that need a browser."""

from __future__ import annotations

import pathlib
import re
import shutil

ROOT = pathlib.Path(__file__).resolve().parents[2]
[PROGRAM] = re.findall(
    r"<!-- browser: (\w+) (\w+)=(\w+) -->\n```javascript\n(.*?)```",
    (ROOT / "docs/clients.md").read_text(),
    re.DOTALL,
)


def test_an_event_source_reads_a_stream_with_its_key(start, tmp_path, page):
    example, variable, value, code = PROGRAM
    shutil.copytree(ROOT / "examples" / example, tmp_path / "model")
    server = start(model_dir=tmp_path / "model", env={variable: value})
    [prints] = re.findall(r"console\.log\(.*// (.*)", code)
    page.goto(f"http://localhost:{server.port}/livez")
    assert page.evaluate("async (path) => (await fetch(path)).status", "/predictions") == 401
    with page.expect_console_message(lambda message: message.text.strip() == prints):
        page.evaluate(
            f"async () => {{ {code.replace('localhost:5000', f'localhost:{server.port}')} }}"
        )
