"""$COG_WEIGHTS with a URL: setup gets the URL and a file that is fetched when it is first read."""

from __future__ import annotations

import gzip
import os
import pathlib
import signal

import pytest

from http_harness import Reply
from model_sources import model_source
from waiting import until


@pytest.fixture(params=["weights", "weights_async"])
def source(request) -> str:
    return model_source(f"http/{request.param}")


def fetched(directory: pathlib.Path) -> list[pathlib.Path]:
    return [path for path in directory.glob("cog-files-*/*/*") if path.is_file()]


def test_a_model_gets_the_url_and_the_file(start, store, source):
    url = store.add("/weights.bin?key=1", b"remote")
    server = start(source, env={"COG_WEIGHTS": url})
    assert server.predict({}).json["output"] == url
    assert store.got == [] and fetched(server.temporary) == []
    for _ in range(2):
        assert server.predict({"what": "file"}).json["output"] == "remote"
    assert len(store.got) == 1 and [path.name for path in fetched(server.temporary)] == [
        "weights.bin"
    ]


def test_a_failed_download_of_weights_is_retried(start, store, source):
    url = store.url + "/weights.bin"
    server = start(source, env={"COG_WEIGHTS": f"{url}?key=secret"})
    wanted = f"HTTP Error 404: Not Found: GET {url}"
    assert server.predict({"what": "file"}).json["error"] == wanted
    assert fetched(server.temporary) == []
    store.add("/weights.bin", b"remote")
    assert server.predict({"what": "file"}).json["output"] == "remote"


def test_encoded_weights_are_decoded(start, store, source):
    url = store.add("/weights.bin", gzip.compress(b"remote"), Content_Encoding="gzip")
    server = start(source, env={"COG_WEIGHTS": url})
    assert server.predict({"what": "file"}).json["output"] == "remote"


def test_an_incomplete_download_is_not_used(start, store, source):
    store.routes["/weights.bin"] = lambda n: Reply(
        200, {"Content-Length": "6"}, [b"rem" if n == 1 else b"remote"]
    )
    server = start(source, env={"COG_WEIGHTS": store.url + "/weights.bin"})
    assert "IncompleteRead" in server.predict({"what": "file"}).json["error"]
    assert fetched(server.temporary) == []
    assert server.predict({"what": "file"}).json["output"] == "remote"


def test_downloads_of_a_killed_process_are_removed(start, store, source):
    server = start(source, env={"COG_WEIGHTS": store.add("/weights.bin", b"remote"), "READS": "1"})
    (first,) = fetched(server.temporary)
    os.kill(server.runner(), signal.SIGKILL)
    until("it is started again", lambda: "runner ended" in server.log())
    server.wait_status("READY")
    (second,) = fetched(server.temporary)
    assert first != second and len(store.got) == 2


def test_the_url_may_be_written_as_people_write_it(start, store, source):
    store.add("/my%20w%C3%A9ights%20100%25%2F.bin?of=%C3%A9%20&all", b"remote")
    url = store.url + "/my wéights 100%%2F.bin?of=é &all"
    server = start(source, env={"COG_WEIGHTS": url})
    assert server.predict({}).json["output"] == url
    assert server.predict({"what": "file"}).json["output"] == "remote"
    assert [got.path for got in store.got] == [
        "/my%20w%C3%A9ights%20100%25%2F.bin?of=%C3%A9%20&all"
    ]
