"""URLs that a model reads itself are decoded like inputs, and errors name the URL."""

from __future__ import annotations

import base64
import gzip
import hashlib
import pathlib
import zlib
from collections.abc import Callable

import pytest

from http_harness import Reply
from http_store import Store
from interpreters import ask_all

#: Each test asks every Python side by side.
pytestmark = pytest.mark.timeout(300)

READS = pathlib.Path(__file__).with_name("remote.py")
TEXT = b"a,b\n" * 1000
ZIPPED = gzip.compress(TEXT)
BOMB = gzip.compress(bytes(32 << 20))


def raw(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return stream.compress(data) + stream.flush()


#: The header, the body, and its decoded file: the rows of internal/files/encoding_test.go.
FILES = [
    ("gzip", ZIPPED, TEXT),
    ("GZIP", ZIPPED, TEXT),
    ("x-gzip", ZIPPED, TEXT),
    ("deflate", zlib.compress(TEXT), TEXT),
    ("deflate", raw(TEXT), TEXT),
    ("deflate", raw(b""), b""),
    ("gzip", ZIPPED + gzip.compress(b"and more"), TEXT + b"and more"),
    ("deflate, gzip", gzip.compress(zlib.compress(TEXT)), TEXT),
    ("gzip, gzip", gzip.compress(ZIPPED), TEXT),
    ("gzip, identity,", ZIPPED, TEXT),
    ("aws-chunked,gzip", ZIPPED, TEXT),
    ("aws-chunked", TEXT, TEXT),
    ("identity", TEXT, TEXT),
    ("utf-8", TEXT, TEXT),
    ("base64", TEXT, TEXT),
    ("binary, gzip", ZIPPED, TEXT),
    ("y" * 500, TEXT, TEXT),
    ("gzip", ZIPPED + bytes(4), TEXT),
    ("gzip", ZIPPED + b"\x1f and more", TEXT),
    ("", TEXT, TEXT),
    ("gzip", b"", b""),
    ("deflate", b"", b""),
    ("gzip", gzip.compress(b""), b""),
    ("gzip", gzip.compress(bytes(16 << 20)), bytes(16 << 20)),
]

#: The header, the body, and the words of the error.
FLAWED = [
    (
        "br",
        b"x",
        'the file comes with the Content-Encoding "br"; only gzip and deflate can be decoded',
    ),
    (
        "gzip, zstd",
        b"x",
        'the file comes with the Content-Encoding "zstd"; only gzip and deflate can be decoded',
    ),
    (
        "gzip",
        gzip.compress(b"text") + gzip.compress(b"more")[:9],
        "decode its Content-Encoding: unexpected end",
    ),
    (
        "gzip,gzip,gzip,gzip",
        b"x",
        "the file comes with 4 Content-Encodings; at most 3 can be decoded",
    ),
    (
        "gzip",
        b"plain text that is not encoded",
        "decode its Content-Encoding: Error -3 while decompressing data: incorrect header check",
    ),
    ("gzip", gzip.compress(b"text")[:20], "decode its Content-Encoding: unexpected end"),
    ("gzip", gzip.compress(b"text")[:5], "decode its Content-Encoding: unexpected end"),
    ("deflate", zlib.compress(b"text")[:8], "decode its Content-Encoding: unexpected end"),
    ("gzip", BOMB, "the decoded file is more than 200 times as large as the encoded one"),
    (
        "gzip, gzip",
        gzip.compress(BOMB),
        "the decoded file is more than 200 times as large as the encoded one",
    ),
]


def test_a_file_is_decoded_from_its_content_encoding(store: Store) -> None:
    urls = [
        store.add(f"/{n}.csv", body, Content_Encoding=coding)
        for n, (coding, body, _) in enumerate(FILES)
    ]
    for version, answers in ask_all(READS, urls).items():
        for (coding, body, file), answer in zip(FILES, answers):
            assert answer == ["", hashlib.sha256(file).hexdigest()], (
                f"{version}: {coding} of {len(body)} bytes"
            )
    assert {got.headers["accept-encoding"] for got in store.got} == {"identity"}


def test_an_encoded_file_that_is_wrong_or_a_bomb_fails_with_the_url(store: Store) -> None:
    urls = [
        store.add(f"/{n}.bin?key=secret", body, Content_Encoding=coding)
        for n, (coding, body, _) in enumerate(FLAWED)
    ]
    for version, answers in ask_all(READS, urls).items():
        for (coding, _, reason), url, (_, text, again) in zip(FLAWED, urls, answers):
            wanted = f"{reason}: GET {url.partition('?')[0]}"
            assert text == again == wanted, f"{version}: {coding}"


def broken(reply: Reply) -> Callable[[int], Reply]:
    return lambda n: reply


@pytest.fixture
def flaws(store: Store) -> dict[str, list[str]]:
    """URLs that cannot be read, with the class and the text of each error."""
    store.routes["/short"] = broken(Reply(200, {"Content-Length": "6"}, [b"rem"]))
    store.routes["/cut"] = broken(
        Reply(200, {"Transfer-Encoding": "chunked"}, [b"5\r\nhello\r\n", b"9\r\nwor"])
    )
    host = store.url.partition("//")[2]
    return {
        f"http://u:pass@{host}/gone?key=secret#part": [
            "HTTPError",
            f"HTTP Error 404: Not Found: GET http://{host}/gone",
        ],
        f"http://{host}/short?key=secret": [
            "IncompleteRead",
            f"IncompleteRead, 3 bytes are missing: GET http://{host}/short",
        ],
        f"http://u:pass@{host}/cut": ["IncompleteRead", f"IncompleteRead: GET http://{host}/cut"],
        "http://u:pass@127.0.0.1:1/x?key=secret": [
            "URLError",
            "<urlopen error [Errno 111] Connection refused: GET http://127.0.0.1:1/x>",
        ],
        "http://u:pass@no host/x?key=secret": [
            "InvalidURL",
            "URL can't contain control characters. 'no host' (found at least ' '): GET http://no host/x",
        ],
        "data:text/plain;base64,secret": ["ValueError", "Incorrect padding: data: URL"],
    }


def test_an_error_keeps_its_class_and_names_the_url_without_its_secret_parts(
    flaws: dict[str, list[str]],
) -> None:
    for version, answers in ask_all(READS, list(flaws)).items():
        for (kinds, *texts), (kind, text) in zip(answers, flaws.values()):
            assert (kind in kinds.split(), texts) == (True, [text, text]), version


def test_a_user_in_the_url_is_sent_only_to_its_host(store: Store) -> None:
    other = Store()
    try:
        host = store.url.partition("//")[2]
        other.add("/x", b"text")
        store.redirect("/x", other.url + "/x")
        urls = [f"http://{user}@{host}/x" for user in ("me:p%40ss", "token")]
        for answers in ask_all(READS, urls).values():
            assert answers == [["", hashlib.sha256(b"text").hexdigest()]] * 2
        sent = {got.headers["authorization"] for got in store.got}
        assert sent == {
            "Basic " + base64.b64encode(user).decode() for user in (b"me:p@ss", b"token:")
        }
        assert not any("authorization" in got.headers for got in other.got)
    finally:
        other.close()
