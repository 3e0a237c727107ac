"""Measures the memory that the server needs for the bytes of clients, receivers and models: the
rows of ``make soak`` and, in small, tests/faults/test_memory.py.
"""

from __future__ import annotations

import concurrent.futures
import http.client
import http.server
import pathlib
import threading
from collections.abc import Iterator
from typing import Any, Callable, NamedTuple

from faults_models import free_port
from http_harness import Answer, Reply, Server, asking, hung_up_on
from http_peer import Peer
from http_store import Store
from model_sources import model_source
from waiting import until

MIB = 1 << 20
ASYNC = {"Prefer": "respond-async"}


class Row(NamedTuple):
    """The bytes that others sent to a server, and the most by which its memory grew."""

    sent: int
    rss: int
    pss: int  # 0 if only root may read it


class Watch:
    """Measures the memory of a server from now until `row` is called."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._rss = server.memory("VmRSS")
        self._pss = [pss(server.process.pid)]
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while self._pss[-1] and not self._end.wait(0.02):
            self._pss.append(pss(self._server.process.pid))

    def row(self, sent: int) -> Row:
        self._end.set()
        self._thread.join()
        return Row(sent, self._server.memory() - self._rss, max(self._pss) - self._pss[0])


def pss(pid: int) -> int:
    """Proportional set size: resident bytes, with shared ones divided among their processes. 0 once
    the process is gone, or without the rights of root.
    """
    try:
        text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return int(text.split("\nPss:")[1].split()[0]) << 10


class Load(NamedTuple):
    """A way to send bytes to a server, and its bound: a multiple of the bytes sent, plus
    some MiB.
    """

    name: str
    times: int
    mib: int
    run: Callable[[Callable[..., Server], int], Row]
    small: int  # in MiB, but for lists
    large: int

    def bound(self, sent: int) -> int:
        return self.times * sent + self.mib * MIB

    @property
    def promise(self) -> str:
        """The bound in the words of docs/reliability.md."""
        return f"{self.times} × and {self.mib} MiB" if self.times else f"{self.mib} MiB"

    def line(self, row: Row) -> str:
        """A row of the table in docs/reliability.md."""
        shown = f"+{row.pss / MIB:.0f} MiB" if row.pss else "–"
        return (
            f"| {self.name} | {row.sent / MIB:,.0f} MiB | +{row.rss / MIB:.0f} MiB | {shown} "
            f"| {row.rss / row.sent:.2f} × | {self.promise} |"
        )


# Bodies

SHAPES = """
from typing import Any, Dict, List, Optional, Union
from cog import Path

class Predictor:
    def predict(
        self, floats: Optional[List[float]] = None, flags: Optional[List[bool]] = None, ints: Optional[List[int]] = None,
        texts: Optional[List[str]] = None, either: Optional[List[Union[int, str]]] = None, table: Optional[Dict[str, float]] = None,
        tables: Optional[List[Dict[str, int]]] = None, anything: Any = None, text: str = "", files: Optional[List[Path]] = None,
    ) -> str:
        return "done"
"""

#: The parts of each input: its beginning, the part that is repeated, and its end.
BODIES = {
    "whole numbers for floats": ('{"floats": [', "1,", "1]}"),
    "floats in quotes": ('{"floats": [', '"1",', "1]}"),
    "floats for integers": ('{"ints": [', "1.0,", "1]}"),
    "numbers for booleans": ('{"flags": [', "0,", "1]}"),
    "short texts": ('{"texts": [', '"",', '""]}'),
    "members of a union": ('{"either": [', '"",', '""]}'),
    "empty objects": ('{"tables": [', "{},", "{}]}"),
    "lists": ('{"anything": [', "[1],", "1]}"),
    "a long text": ('{"text": "', "a", '"}'),
    "escapes": ('{"text": "', "\\\\u0041", '"}'),
}


def body_of(shape: str, mib: int) -> bytes:
    head, part, end = BODIES[shape]
    return f'{{"input": {head}{part * ((mib << 20) // len(part))}{end}}}'.encode()


def send(server: Server, body: bytes | Iterator[bytes], **headers: str) -> Answer:
    """Send a body, in chunks if asked for."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=300)
    try:
        given = {"Content-Type": "application/json", **ASYNC, **headers}
        connection.request("POST", "/predictions", body, given)
        response = connection.getresponse()
        return Answer(response.status, dict(response.getheaders()), response.read())
    finally:
        connection.close()


def one_body(start: Callable[..., Server], shape: str, mib: int, chunks: bool = False) -> Row:
    """Send one body to a new server."""
    server = start(SHAPES)
    body = body_of(shape, mib)
    watch = Watch(server)
    answer = send(server, pieces(body) if chunks else body)
    assert answer.status == 202, answer.body[:500]
    row = watch.row(len(body))
    server.kill()  # the runner would take long to read it
    return row


def pieces(body: bytes) -> Iterator[bytes]:
    return (body[at : at + 65536] for at in range(0, len(body), 65536))


def every_shape(start: Callable[..., Server], mib: int) -> Row:
    return max(
        (one_body(start, shape, mib) for shape in BODIES), key=lambda row: row.rss / row.sent
    )


def in_chunks(start: Callable[..., Server], mib: int) -> Row:
    return one_body(start, "floats in quotes", mib, chunks=True)


def many_bodies(start: Callable[..., Server], mib: int) -> Row:
    """Bodies of the largest allowed size, all at the same time."""
    server = start(SHAPES, "--max-body", f"{mib + 1}MiB", "--body-timeout", "5m")
    body = body_of("floats in quotes", mib)
    clients = 16
    gate = threading.Barrier(clients)

    def client(_: int) -> int:
        gate.wait(20)
        return send(server, body).status

    watch = Watch(server)
    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        statuses = set(pool.map(client, range(clients)))
    assert statuses <= {202, 409}, statuses
    row = watch.row(clients * len(body))
    server.kill()
    return row


def many_files(start: Callable[..., Server], mib: int) -> Row:
    server = start(SHAPES)
    body = b'{"input": {"files": [%s"data:,"]}}' % (b'"data:,",' * ((mib << 20) // 9))
    watch = Watch(server)
    answer = send(server, body)
    assert answer.status == 422 and b"--max-input-files" in answer.body, answer.body[:500]
    return watch.row(len(body))


def uploads(start: Callable[..., Server], mib: int) -> Row:
    """Uploads of 4 MiB each; half of them exceed the limit."""
    server = start(SHAPES, "--max-uploads", f"{mib // 2}MiB")
    part = (
        b'--x\r\nContent-Disposition: form-data; name="content"; filename="a"\r\n\r\n%s\r\n--x--\r\n'
        % bytes(4 * MIB)
    )
    watch = Watch(server)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        asked = [
            pool.submit(
                server.ask,
                "POST",
                "/v1/files",
                part,
                Content_Type="multipart/form-data; boundary=x",
            )
            for _ in range(mib // 4)
        ]
        assert {one.result().status for one in asked} == {201, 507}
    return watch.row(len(part) * len(asked))


# Answers

ANSWERS = model_source("faults/memory_answers")


def unread(start: Callable[..., Server], mib: int) -> Row:
    """Answers that nobody reads: half output, half logs."""
    server = start(
        ANSWERS,
        "--stream-timeout",
        "2s",
        "--max-log-bytes",
        f"{mib}MiB",
        predict="predict.py:Texts",
    )
    watch = Watch(server)
    server.predict({"size": mib * MIB // 2, "lines": mib * MIB // 200}, id="big")
    paths = [
        f"{before}/predictions/big{after}" for before in ("", "/v1") for after in ("", "/stream")
    ]
    clients = [asking(server.port, path) for path in paths for _ in range(10)]
    until("all are given up", lambda: all(hung_up_on(client) for client in clients), 60)
    for client in clients:
        client.close()
    return watch.row(mib * MIB)


def lists(start: Callable[..., Server], rounds: int) -> Row:
    """Many clients list 50 existing predictions of half a megabyte each."""
    server = start(ANSWERS, predict="predict.py:Texts")
    for _ in range(50):
        server.predict({"size": 256 << 10, "lines": 2560})
    watch = Watch(server)
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        paths = ["/predictions", "/v1/predictions"] * (6 * rounds)
        assert all(len(answer.json["results"]) == 50 for answer in pool.map(server.get, paths))
    return watch.row(50 * (512 << 10))


class Sink:
    """A receiver that reads what it is sent, and answers once the test says so."""

    def __init__(self) -> None:
        self.answers = threading.Event()
        self.told: set[bytes] = (
            set()
        )  # the beginnings of answered webhooks, with the id; one may come more than once
        sink = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:  # noqa: N802 - the base class's name
                begin = self.rfile.read(64)
                left = int(self.headers["Content-Length"]) - len(begin)
                while left:
                    left -= len(self.rfile.read(min(left, 65536)))
                sink.answers.wait(600)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()
                sink.told.add(begin)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = Peer(Handler)
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]  # the server gave up an attempt
        self.url = self._server.url

    def __enter__(self) -> Sink:
        return self

    def __exit__(self, *_: Any) -> None:
        self.answers.set()
        self._server.close()


def owed(start: Callable[..., Server], mib: int, *flags: str) -> Row:
    """Results of 1 MiB for a receiver that hangs."""
    server = start(ANSWERS, "--retain", "0", *flags, predict="predict.py:Texts")
    with Sink() as sink:
        watch = Watch(server)
        for _ in range(mib):
            answer = server.predict(
                {"size": MIB}, webhook=sink.url, webhook_events_filter=["completed"]
            )
            assert answer.json["status"] == "succeeded"
        row = watch.row(mib * MIB)
        sink.answers.set()
        until("the receiver has every end", lambda: len(sink.told) == mib, 120)
        outbox = server.spool() / "outbox"
        until("everything is delivered", lambda: not list(outbox.iterdir()), 120)
    return row


def owed_on_disk(start: Callable[..., Server], mib: int) -> Row:
    return owed(start, mib, "--port", free_port())


def files(start: Callable[..., Server], mib: int) -> Row:
    """A file that is yielded, journaled, sent to a receiver, and read in every way."""
    server = start(ANSWERS, "--port", free_port(), predict="predict.py:Files")
    with Sink() as sink:
        sink.answers.set()
        watch = Watch(server)
        hook = {"webhook": sink.url, "webhook_events_filter": ["completed"]}
        assert server.predict({"mib": mib}, ASYNC, id="it", **hook).status == 202
        for path in (
            "/predictions/it/stream",
            "/predictions/it",
            "/v1/predictions/it",
            "/v1/predictions/it/stream",
        ):
            assert read(server, path) > mib * MIB
        until("the receiver has the end", lambda: sink.told, 120)
    return watch.row(mib * MIB)


def read(server: Server, path: str) -> int:
    """Read and drop an answer; return its length."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
    connection.request("GET", path)
    answer, got = connection.getresponse(), 0
    while more := answer.read(MIB):
        got += len(more)
    connection.close()
    return got


def returned(start: Callable[..., Server], mib: int) -> Row:
    server = start(ANSWERS, predict="predict.py:Texts")
    watch = Watch(server)
    assert (
        len(server.ask("POST", "/predictions", {"input": {"size": mib * MIB}}, timeout=300).body)
        > mib * MIB
    )
    return watch.row(mib * MIB)


def yields(start: Callable[..., Server], mib: int, size: int = 10_000) -> Row:
    """More than --max-output; each item counts 128 bytes in addition to its text."""
    server = start(ANSWERS, "--max-output", f"{mib}MiB", predict="predict.py:Yields")
    watch = Watch(server)
    answer = server.ask("POST", "/predictions", {"input": {"size": size}}, timeout=300)
    assert "--max-output" in answer.json["error"], answer.body[-500:]
    return watch.row(mib * MIB)


def yields_letters(start: Callable[..., Server], mib: int) -> Row:
    return yields(start, mib, 1)


# Sources

FETCHES = "from cog import Path\nclass Predictor:\n    def predict(self, file: Path) -> str:\n        return 'done'\n"


def drips(start: Callable[..., Server], mib: int) -> Row:
    """Sources that hold back their last byte, for as many predictions as may fetch; the server
    refuses the others.
    """
    server = start(FETCHES)
    go, store = threading.Event(), Store()
    at_the_end: list[int] = []

    def parts() -> Iterator[bytes]:
        for _ in range(mib):
            yield bytes(MIB)
        at_the_end.append(1)
        go.wait(600)
        yield b"."

    store.routes["/drips"] = lambda n: Reply(200, {"Content-Length": str(mib * MIB + 1)}, parts())
    watch = Watch(server)
    try:
        asked = [server.predict({"file": store.url + "/drips"}, ASYNC) for _ in range(100)]
        taken = [answer.json["id"] for answer in asked if answer.status == 202]
        assert 1 < len(taken) < 10 and {answer.status for answer in asked} == {202, 409}
        until("only the last bytes are missing", lambda: len(at_the_end) == len(taken), 120)
        row = watch.row(len(taken) * mib * MIB)
        go.set()
        for id in taken:
            assert server.ended(id)["status"] == "succeeded"
    finally:
        go.set()
        store.close()
    return row


LOADS = [
    Load("one body, the worst of ten shapes", 4, 8, every_shape, 4, 16),
    Load("one body in chunks", 4, 16, in_chunks, 2, 64),
    Load("16 bodies at once, each as large as may be", 3, 32, many_bodies, 1, 8),
    Load("one body with more files than may be", 4, 8, many_files, 2, 64),
    Load("uploads, half of them beyond `--max-uploads`", 0, 24, uploads, 64, 2048),
    Load("an answer of which 40 clients take nothing", 6, 48, unread, 12, 64),
    Load("lists of results, 12 clients", 2, 24, lists, 4, 100),
    Load("results for a receiver that hangs, `--port 0`", 0, 128, owed, 120, 400),
    Load("results for a receiver that hangs, durable", 0, 60, owed_on_disk, 120, 400),
    Load("a file that is yielded, kept, told and read", 0, 40, files, 64, 512),
    Load("a string that is returned", 2, 16, returned, 16, 128),
    Load("strings of 10 kB without end, up to `--max-output`", 4, 16, yields, 16, 256),
    Load("letters without end, up to `--max-output`", 4, 32, yields_letters, 8, 256),
    Load("files of which the last byte does not come", 0, 30, drips, 16, 128),
]
