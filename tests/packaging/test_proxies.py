"""The configurations of nginx and Caddy in docs/proxies.md, unchanged, in front of real servers and
with TLS.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator

import pytest
from packages import ROOT

from model_sources import model_source
from waiting import until

PAGE = (ROOT / "docs/proxies.md").read_text()
NAME = "model.example.com"
MIB = 1 << 20

#: Reports at once that it runs, and ends when the test has made a file.
WAITS = model_source("packaging/proxies_waits")

TURNS = """
from cog import BasePredictor, Path


class Predictor(BasePredictor):
    def predict(self, file: Path) -> Path:
        turned = Path("/tmp") / f"turned-{file.parent.name}.bin"
        turned.write_bytes(file.read_bytes()[::-1])
        return turned
"""

#: Records each run.
COUNTS = model_source("packaging/proxies_counts")


def shown(name: str) -> str:
    """A file of the page."""
    [text] = re.findall(rf"<!-- file: {re.escape(name)} -->\n```\w*\n(.*?)```", PAGE, re.DOTALL)
    return text


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


class Proxy:
    """A proxy with its own port, and a directory for everything that it writes, in which its
    certificate is.
    """

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory
        self.port = free_port()
        self.url = f"https://{NAME}:{self.port}"

    def start(self, *command: object) -> None:
        self._log = (self.directory / "log").open("wb")
        env = {**os.environ, "HOME": str(self.directory), "XDG_DATA_HOME": str(self.directory)}
        words = [str(word) for word in command]
        self._process = subprocess.Popen(words, stdout=self._log, stderr=subprocess.STDOUT, env=env)
        until("the proxy listens", self._listens)

    def _listens(self) -> bool:
        assert self._process.poll() is None, (self.directory / "log").read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def close(self) -> None:
        self._process.send_signal(signal.SIGINT)
        self._process.wait(20)
        self._log.close()

    def here(self, text: str) -> str:
        """A file of the page, with paths in this directory."""
        return text.replace("/etc/ssl/", f"{self.directory}/").replace(
            "/etc/nginx/", f"{self.directory}/"
        )

    def curl(self, version: str, path: str, *words: object) -> list[str]:
        there = [
            "--connect-to",
            f"{NAME}:{self.port}:127.0.0.1:{self.port}",
            "--cacert",
            self.directory / "model.pem",
        ]
        given = ["curl", "-sS", "-N", version, "--noproxy", "*", *there, *words, self.url + path]
        return [str(word) for word in given]

    def ask(self, version: str, path: str, *words: object) -> tuple[int, dict]:
        """The status and the body of an answer, which must have the requested version of HTTP."""
        tell = ["-w", "\n%{http_code} %{http_version}"]
        done = subprocess.run(
            self.curl(version, path, *tell, *words), capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        body, _, told = done.stdout.rpartition("\n")
        status, spoken = told.split()
        assert spoken == {"--http1.1": "1.1", "--http2": "2"}[version]
        return int(status), json.loads(body)


def nginx(proxy: Proxy, file: str, addresses: dict[str, int]) -> None:
    directory = proxy.directory
    model = proxy.here(shown(file)).replace("listen 443 ", f"listen 127.0.0.1:{proxy.port} ")
    for address, port in addresses.items():
        assert address in model
        model = model.replace(address, f"127.0.0.1:{port}")
    (directory / "coggo-proxy.conf").write_text(shown("coggo-proxy.conf"))
    temporary = [
        f"{kind}_temp_path {directory}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    ]
    main = [
        "daemon off;",
        f"pid {directory}/pid;",
        *(["user root;"] if os.geteuid() == 0 else []),
        "events {}",
    ]
    http = ["http {", "access_log off;", *temporary, model, "}"]
    (directory / "nginx.conf").write_text("\n".join([*main, *http]))
    proxy.start("nginx", "-p", directory, "-c", directory / "nginx.conf", "-e", "stderr")


def caddy(proxy: Proxy, address: int) -> None:
    text = proxy.here(shown("Caddyfile")).replace("127.0.0.1:5000", f"127.0.0.1:{address}")
    alone = f"{{\nadmin off\nauto_https disable_redirects\nhttps_port {proxy.port}\n}}\n"
    (proxy.directory / "Caddyfile").write_text(alone + text)
    proxy.start("caddy", "run", "--config", proxy.directory / "Caddyfile", "--adapter", "caddyfile")


def needed(command: str, package: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(
        not shutil.which(command), reason=f"{command} is missing: Debian has it in {package}"
    )


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> pathlib.Path:
    """The directory of a key and its certificate. Such a key takes long to find."""
    directory = tmp_path_factory.mktemp("certificate")
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj"]
    files = ["-keyout", directory / "model.key", "-out", directory / "model.pem"]
    subject = [f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}"]
    subprocess.run([*make, *subject, *files], check=True, capture_output=True, timeout=60)
    return directory


@pytest.fixture
def proxy(certificate, tmp_path) -> Iterator[Proxy]:
    made = Proxy(shutil.copytree(certificate, tmp_path / "proxy"))
    yield made
    made.close()


@pytest.fixture(
    params=[
        pytest.param("nginx", marks=needed("nginx", "nginx-light")),
        pytest.param("caddy", marks=needed("caddy", "caddy")),
    ]
)
def before(request, proxy):
    """Puts a proxy in front of a server."""

    def put(server) -> Proxy:
        if request.param == "nginx":
            nginx(proxy, "nginx.conf", {"127.0.0.1:5000": server.port})
        else:
            caddy(proxy, server.port)
        return proxy

    return put


@pytest.fixture(params=["--http1.1", "--http2"])
def version(request) -> str:
    return request.param


JSON = ("-H", "Content-Type: application/json")
EVENTS = ("-H", "Accept: text/event-stream")


def test_the_first_event_arrives_while_the_model_runs(start, before, version, tmp_path):
    proxy, go = before(start(WAITS)), tmp_path / "go"
    body = json.dumps({"input": {"go": str(go)}})
    with subprocess.Popen(
        proxy.curl(version, "/predictions", *JSON, *EVENTS, "-d", body, "-m", "60"),
        stdout=subprocess.PIPE,
        text=True,
    ) as client:
        lines = iter(client.stdout.readline, "")
        seen = []
        for line in lines:
            seen.append(line)
            if "chunk" in line:
                break
        assert seen[-1] == 'data: {"chunk":"first","index":0}\n', seen
        go.touch()
        assert '"status":"succeeded"' in list(lines)[-2]
    assert client.returncode == 0


def test_a_client_that_leaves_cancels(start, before, version, tmp_path):
    server = start(WAITS)
    proxy = before(server)
    body = json.dumps({"id": "left", "input": {"go": str(tmp_path / "never")}})
    for words in ((), EVENTS):
        with subprocess.Popen(
            proxy.curl(version, "/predictions", *JSON, *words, "-d", body)
        ) as client:
            until(
                "it runs",
                lambda: server.get("/predictions/left").json.get("status") == "processing",
            )
            client.kill()
        assert server.ended("left")["status"] == "canceled"


def test_files_of_several_mebibytes_pass_in_both_directions(start, before, version, tmp_path):
    proxy = before(start(TURNS))
    (tmp_path / "body").write_text(
        json.dumps({"input": {"file": "data:text/plain," + "abcd" * (2 * MIB)}})
    )
    status, answer = proxy.ask(
        version, "/predictions", *JSON, "--data-binary", f"@{tmp_path / 'body'}"
    )
    assert (status, answer["status"]) == (200, "succeeded"), answer["error"]
    # "dcba" and the two that follow it are sixteen characters of base64.
    assert (
        answer["output"]
        == "data:application/octet-stream;base64,"
        + "ZGNiYWRjYmFkY2Jh" * (2 * MIB // 3)
        + "ZGNiYWRjYmE="
    )


@needed("nginx", "nginx-light")
def test_a_body_that_is_too_large_is_refused_by_the_server(start, proxy, version, tmp_path):
    nginx(proxy, "nginx.conf", {"127.0.0.1:5000": start(TURNS, "--max-body=1MiB").port})
    (tmp_path / "body").write_bytes(b" " * (2 * MIB))
    status, answer = proxy.ask(
        version, "/predictions", *JSON, "--data-binary", f"@{tmp_path / 'body'}"
    )
    assert (status, "see --max-body" in answer["detail"]) == (413, True)


def test_urls_in_answers_of_v1_are_those_of_the_proxy(start, before, version, tmp_path):
    proxy, go = before(start(WAITS)), tmp_path / "go"
    go.touch()
    body = json.dumps({"input": {"go": str(go)}})
    status, made = proxy.ask(version, "/v1/predictions", *JSON, "-H", "Prefer: wait", "-d", body)
    assert status == 201
    assert [url for url in made["urls"].values() if not url.startswith(f"{proxy.url}/")] == []
    status, got = proxy.ask(version, made["urls"]["get"].removeprefix(proxy.url))
    assert (status, got["output"]) == (200, ["first", "last"])


def test_a_browser_can_use_the_server_by_an_allowed_name(start, before, version):
    browser = (
        "-o",
        os.devnull,
        "-w",
        "%{http_code}",
        "-A",
        "Mozilla/5.0",
        "-H",
        "Sec-Fetch-Site: same-origin",
    )
    proxy = before(start(WAITS, f"--allowed-host={NAME}"))
    done = subprocess.run(
        proxy.curl(version, "/docs", *browser), capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "200"


@pytest.fixture
def two(start, proxy, tmp_path):
    """Two servers behind nginx, with models that record each run in ``runs``."""
    made = [start(COUNTS, "--max-queue=50", env={"SERVER": name}) for name in ("a", "b")]
    nginx(proxy, "several.conf", {f"model-{n}:5000": server.port for n, server in enumerate(made)})
    return made


ASYNC = ("-H", "Prefer: respond-async")


@needed("nginx", "nginx-light")
def test_polls_and_cancels_reach_the_server_that_knows_the_id(two, proxy, version, tmp_path):
    body = json.dumps({"input": {"runs": str(tmp_path / "runs"), "go": str(tmp_path / "go")}})
    ids = []
    for path in ("/predictions", "/v1/predictions") * 3:
        status, made = proxy.ask(version, path, *JSON, *ASYNC, "-d", body)
        assert status in (201, 202)
        ids.append((path, made["id"]))
    assert {len(server.get("/predictions").json["results"]) for server in two} == {3}
    for path, id in ids:
        assert proxy.ask(version, f"{path}/{id}")[0] == 200
        assert (
            proxy.ask(version, f"{path}/{id}/cancel", "-X", "POST", "-H", "Prefer: wait=10")[0]
            == 200
        )
        assert proxy.ask(version, f"{path}/{id}")[1]["status"] == "canceled"
    assert proxy.ask(version, "/predictions/unknown")[0] == 404
    assert proxy.ask(version, "/predictions/unknown/cancel", "-X", "POST") == (404, {})


@needed("nginx", "nginx-light")
def test_uploads_are_found_on_whichever_server_has_them(two, proxy, version):
    for _ in two:
        status, made = proxy.ask(version, "/v1/files", "-F", "content=@/dev/null")
        path = made["urls"]["get"].removeprefix(proxy.url)
        assert (status, proxy.ask(version, path)) == (201, (200, made))
    assert [len(server.get("/v1/files").json["results"]) for server in two] == [1, 1]


@needed("nginx", "nginx-light")
def test_a_repeated_put_runs_once(two, proxy, version, tmp_path):
    runs = tmp_path / "runs"
    put = (*JSON, "-X", "PUT", "-d", json.dumps({"input": {"runs": str(runs)}}))
    # An odd number of paths, so that round robin would fail.
    paths = [f"/predictions/p%2F{n}" for n in range(5)]
    first = [proxy.ask(version, path, *put)[1] for path in paths]
    assert [proxy.ask(version, path, *put)[1] for path in paths] == first
    assert [proxy.ask(version, path)[1] for path in paths] == first
    assert len(runs.read_text().split()) == len(paths)


@needed("nginx", "nginx-light")
def test_ids_are_spread_over_the_servers(two, proxy, version, tmp_path):
    put = (*JSON, "-X", "PUT", "-d", json.dumps({"input": {"runs": str(tmp_path / "runs")}}))
    answers = [proxy.ask(version, f"/predictions/p{n}", *put)[1] for n in range(24)]
    assert {answer["output"] for answer in answers} == {"a", "b"}


@needed("nginx", "nginx-light")
def test_a_put_at_a_server_that_does_not_know_it_runs_again(two, tmp_path):
    """Therefore a proxy must send all requests of an id to the same server."""
    runs = tmp_path / "runs"
    for server in two:
        assert server.ask("PUT", "/predictions/p", {"input": {"runs": str(runs)}}).status == 200
    assert len(runs.read_text().split()) == 2
    assert [server.get("/predictions/p").json["output"] for server in two] == ["a", "b"]
