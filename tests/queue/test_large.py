"""Bodies that do not fit into a message of the broker: docs/queue.md, The broker."""

from __future__ import annotations

import pytest

from queue_harness import ASYNC, runs

KIB, MIB = 1 << 10, 1 << 20

#: Around the largest body of a message, and far above.
SIZES = {"400 KiB": 400 * KIB, "600 KiB": 600 * KIB, "2 MiB": 2 * MIB, "20 MiB": 20 * MIB}

FILES = """
import tempfile
from pathlib import Path as P
from cog import Path, Input
class Predictor:
    def predict(self, size: int) -> Path:

        out = P(tempfile.mkdtemp()) / "out.bin"
        out.write_bytes(bytes(size))
        return Path(out)
"""


def same(a, b):
    """Compare without the diff of 20 MiB that an assertion would make."""
    return len(a) == len(b) and a == b


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_a_large_input_reaches_the_model(fleet, size):
    one, other = fleet.gateways
    text = "é" * (size // 2)
    answer = one.predict({"text": text}, id=f"in-{size}")
    assert answer.status == 200 and answer.json["output"] == str(len(text))
    assert same(answer.json["input"]["text"], text)
    assert same(other.get(f"/predictions/in-{size}").body, answer.body)


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_a_large_output_reaches_every_gateway(fleet, receiver, size):
    one, other = fleet.gateways
    answer = one.predict({"bytes_out": size}, id=f"out-{size}", webhook=receiver.url)
    assert answer.status == 200 and same(answer.json["output"], "x" * size)
    for _ in range(2):
        assert same(other.get(f"/predictions/out-{size}").body, answer.body)
    receiver.wait_terminal()
    assert same(receiver.bodies[-1], answer.body)


def test_a_large_prediction_that_waits_is_shown_and_canceled(fleet, tmp_path):
    one, other = fleet.gateways
    for id in ("busy-0", "busy-1"):
        one.predict({"until": str(tmp_path / "free")}, ASYNC, id=id)
        runs(other, id)
    text = "y" * (2 * MIB)
    assert one.predict({"text": text}, ASYNC, id="waits").status == 202
    assert same(other.get("/predictions/waits").json["input"]["text"], text)
    assert other.ask("POST", "/predictions/waits/cancel").status == 200
    found = one.get("/predictions/waits").json
    assert found["status"] == "canceled" and same(found["input"]["text"], text)
    (tmp_path / "free").touch()
    for id in ("busy-0", "busy-1"):
        one.ended(id)


def test_put_again_of_a_large_input_and_output_is_one_run(fleet, tmp_path):
    one, other = fleet.gateways
    given = {"text": "z" * (2 * MIB), "runs": str(tmp_path / "runs")}
    first = one.ask("PUT", "/predictions/again", {"input": given})
    again = other.ask("PUT", "/predictions/again", {"input": given})
    assert first.status == again.status == 200 and same(first.body, again.body)
    assert len((tmp_path / "runs").read_text().split()) == 1


def test_a_list_shows_large_predictions_without_what_is_large(fleet):
    one, other = fleet.gateways
    one.predict({"bytes_out": 2 * MIB}, id="listed")
    page = other.get("/predictions?limit=100")
    assert "listed" in {item["id"] for item in page.json["results"]}
    assert len(page.body) < 8 * MIB


def test_an_output_file_becomes_a_data_url(start_fleet):
    fleet = start_fleet(FILES)
    one, other = fleet.gateways
    answer = one.predict({"size": 2 * MIB}, id="file")
    assert answer.json["output"].startswith("data:application/octet-stream;base64,AAAA")
    assert same(other.get("/predictions/file").body, answer.body)
