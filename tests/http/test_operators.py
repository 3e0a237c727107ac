"""Flags, environment, and invalid settings: docs/operating.md#every-flag."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess

import pytest

from servers import BINARY
from waiting import until

MODEL = """
import os
class Predictor:
    def predict(self, name: str = "you") -> str:
        return "hello " + name
class Other:
    def predict(self) -> str:
        return "other"
def train(n: int = 1) -> int:
    return n
"""
YAML = "predict: predict.py:Predictor\n"
OURS = ("PORT", "COG_", "COGGO_", "LOG_FORMAT", "KUBERNETES_", "WEBHOOK_AUTH_TOKEN")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    directory = tmp_path_factory.mktemp("operated")
    (directory / "predict.py").write_text(MODEL)
    (directory / "cog.yaml").write_text(YAML)
    return directory


def environment(**given: str) -> dict[str, str]:
    return {**{k: v for k, v in os.environ.items() if not k.startswith(OURS)}, **given}


class Started:
    """A server with only those flags and variables that a test gives."""

    def __init__(self, model: pathlib.Path, *flags: str, **env: str) -> None:
        self.process = subprocess.Popen(
            [str(BINARY), *flags, str(model)],
            env=environment(**env),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        os.set_blocking(self.process.stdout.fileno(), False)
        self.log = ""

    def says(self, text: str) -> str:
        def look() -> bool:
            self.log += (self.process.stdout.read() or b"").decode()
            return text in self.log

        until(f"it says {text}: {self.log}", look)
        return self.log

    def __enter__(self) -> Started:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(20) == 0
        self.rest = self.process.stdout.read() or b""
        self.process.stdout.close()


@pytest.mark.parametrize(
    ("flags", "env", "address"),
    [
        (["--host", "127.0.0.1", "--port", "0"], {}, "127.0.0.1:"),
        (["--host=127.0.0.1", "--port=0"], {"PORT": "1", "COG_HOST": "192.0.2.1"}, "127.0.0.1:"),
        (["--host", "127.0.0.1"], {"PORT": "0"}, "127.0.0.1:"),
        ([], {"COG_PORT": "0", "COG_HOST": "127.0.0.1"}, "127.0.0.1:"),
        ([], {"PORT": "0", "COG_PORT": "1", "COG_HOST": "127.0.0.1"}, "127.0.0.1:"),
        ([], {"PORT": "", "COG_PORT": "0", "COG_HOST": "127.0.0.1"}, "127.0.0.1:"),
        ([], {"PORT": "0"}, "[::]:"),
        (["--port", "0", "--host", "::1"], {}, "[::1]:"),
    ],
)
def test_the_server_listens_where_flags_and_environment_say(model, flags, env, address):
    with Started(model, *flags, **env) as server:
        assert f"address={address}" in server.says("msg=listening")


LOCAL = ("--host", "127.0.0.1", "--port", "0")


@pytest.mark.parametrize(
    ("flags", "ignored"),
    [
        (["--await-explicit-shutdown"], True),
        (["--await-explicit-shutdown", "true"], True),
        (["--await-explicit-shutdown", "True"], True),
        (["--await-explicit-shutdown=true"], True),
        (["--await-explicit-shutdown=1"], True),
        (["--await-explicit-shutdown", "false"], False),
        (["--await-explicit-shutdown=false"], False),
        ([], False),
    ],
)
def test_sigterm_is_ignored_only_if_asked_for(model, flags, ignored):
    with Started(model, *LOCAL, *flags) as server:
        server.says("msg=listening")
        server.process.send_signal(signal.SIGTERM)
        server.says("SIGTERM ignored" if ignored else "shutting down")
        if ignored:
            assert server.process.poll() is None


@pytest.mark.parametrize(
    ("flags", "env"),
    [
        (["--x-mode", "predict"], {}),
        (["--x-mode=train", "--threads", "4"], {}),
        (["--upload-url", "http://127.0.0.1:1/"], {}),
        (["--runner-shutdown-grace-period", "600"], {}),
        (["--runner-shutdown-grace-period", "1m30s"], {}),
        (["--retain-for", "60", "--idle-timeout", "5", "--header-timeout", "1.5"], {}),
        (["--max-body", "1GB", "--max-log-bytes", "1024", "--max-input-file", "0.5GiB"], {}),
        (["--cors-origin", "http://localhost:3000"], {}),
        (
            [],
            {
                "COG_UPLOAD_URL": "http://127.0.0.1:1/",
                "COG_USER_AGENT": "me",
                "COG_SETUP_TIMEOUT": "60",
            },
        ),
        ([], {"COG_MAX_CONCURRENCY": "1", "COG_LOG_LEVEL": "info"}),
        (
            [],
            {
                "COG_MAX_CONCURRENCY": "",
                "COG_LOG_LEVEL": "",
                "LOG_FORMAT": "",
                "COG_UPLOAD_URL": "",
            },
        ),
        (
            [],
            {
                "COG_THROTTLE_RESPONSE_INTERVAL": "0.1",
                "COG_STREAM_HISTORY_CAPACITY": "0",
                "WEBHOOK_AUTH_TOKEN": "t",
            },
        ),
        (
            [],
            {
                "COG_THROTTLE_RESPONSE_INTERVAL": "x",
                "COG_STREAM_HISTORY_CAPACITY": "x",
                "COG_SETUP_TIMEOUT": "x",
            },
        ),
    ],
)
def test_valid_settings_are_accepted(model, flags, env):
    with Started(model, *LOCAL, *flags, **env) as server:
        server.says("model ready")


@pytest.mark.parametrize(
    ("flags", "env", "names"),
    [
        (["--port", "http"], {}, "--port"),
        ([], {"PORT": "99999"}, "--port"),
        (["--upload-url", "ftp://example.com"], {}, "--upload-url"),
        ([], {"COG_UPLOAD_URL": "nope"}, "--upload-url"),
        (["--cors-origin", "https://app.example.com/"], {}, "--cors-origin"),
        (["--cors-origin", "app.example.com"], {}, "--cors-origin"),
        (["--webhook-auth-host", "https://hooks.example.com"], {}, "--webhook-auth-host"),
        (["--log-level", "loud"], {}, "--log-level"),
        ([], {"COG_LOG_LEVEL": "nan"}, "--log-level"),
        ([], {"COG_MAX_CONCURRENCY": "many"}, "COG_MAX_CONCURRENCY"),
        (["--max-concurrency=-1"], {}, "--max-concurrency"),
        (["--max-queue=-1"], {}, "--max-queue"),
        (["--retain=-1"], {}, "--retain"),
        (["--max-body", "big"], {}, "--max-body"),
        (["--max-body", "1e300"], {}, "--max-body"),
        (["--predict-timeout", "soon"], {}, "--predict-timeout"),
        (["--predict-timeout", "inf"], {}, "--predict-timeout"),
        (["--x-mode", "other"], {}, "--x-mode"),
        (["--auth-token-file", "/nowhere/token"], {}, "--auth-token-file"),
        (["--auth-token-file", "/dev/null"], {}, "--auth-token-file"),
        (["--webhook-secret", "nope"], {}, "whsec_"),
        (["--nonsense"], {}, "--nonsense"),
    ],
)
def test_invalid_settings_are_refused_by_name(model, flags, env, names):
    done = subprocess.run(
        [str(BINARY), "--host", "127.0.0.1", *flags, str(model)],
        env=environment(**{"PORT": "0", **env}),
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert done.returncode == 2
    assert (
        names in done.stderr and "Traceback" not in done.stderr and "goroutine" not in done.stderr
    )


def test_the_environment_names_the_predictor_and_the_train_function(start, tmp_path):
    env = {"COG_PREDICT_TYPE_STUB": "predict.py:Other", "COG_TRAIN_TYPE_STUB": "predict.py:train"}
    (tmp_path / "predict.py").write_text(MODEL)
    (tmp_path / "cog.yaml").write_text(YAML)  # the environment takes precedence
    server = start(model_dir=tmp_path, env=env)
    assert server.predict({}).json["output"] == "other"
    assert server.ask("POST", "/trainings", {"input": {"n": 3}}).json["output"] == 3


@pytest.mark.parametrize("kind", ["json", "text"])
def test_the_log_has_the_format_of_the_environment(model, kind):
    with Started(model, *LOCAL, LOG_FORMAT=kind) as server:
        log = server.says("model ready")
        assert log.startswith("{" if kind == "json" else "time=")


#: A level, and the lowest level of the server that it shows. Numbers are those of Python's logging.
LEVELS = [
    *[(name, "DEBUG") for name in ("debug", "trace", "TRACE", "0", "5", "10", "1e1", "-4")],
    *[(name, "INFO") for name in ("info", "Info", "20", " 20 ", "24")],
    *[(name, "WARN") for name in ("warn", "WARNING", "25", "30")],
    *[(name, "ERROR") for name in ("error", "critical", "fatal", "40", "50", "99")],
    *[(name, "") for name in ("off", "OFF")],
]


@pytest.mark.parametrize(("level", "least"), LEVELS)
def test_the_log_has_the_level_of_the_environment(model, level, least):
    env = {
        "COG_LOG_LEVEL": level,
        "LOG_FORMAT": "json",
        "WEBHOOK_AUTH_TOKEN": "t",
    }  # without --webhook-auth-host: a warning
    with Started(model, *LOCAL, "--await-explicit-shutdown", **env) as server:
        until("the runner was started", lambda: children(server.process.pid))
    assert (b"listening" in server.rest) == (least in ("DEBUG", "INFO"))
    assert (b"WEBHOOK_AUTH_TOKEN" in server.rest) == (least in ("DEBUG", "INFO", "WARN"))


@pytest.mark.parametrize("level", ["debug", "trace", "10"])
def test_the_lowest_level_shows_each_prediction(start, model, level):
    server = start(model_dir=model, env={"COG_LOG_LEVEL": level})
    server.predict({})
    until("it is shown", lambda: "level=DEBUG" in server.log())


def children(pid: int) -> str:
    return "".join(f.read_text() for f in pathlib.Path(f"/proc/{pid}/task").glob("*/children"))


WEIGHTS = """
class Predictor:
    def setup(self, weights: str = None):
        self.weights = weights
    def predict(self) -> str:
        return str(self.weights)
"""


def test_setup_gets_the_weights_of_the_environment(start):
    assert (
        start(WEIGHTS, env={"COG_WEIGHTS": "https://example.com/w"}).predict({}).json["output"]
        == "https://example.com/w"
    )


def test_setup_gets_the_weights_next_to_the_model(start, tmp_path):
    (tmp_path / "predict.py").write_text(
        WEIGHTS.replace(": str", ": cog.Path").replace("class", "import cog\nclass", 1)
    )
    (tmp_path / "weights").mkdir()
    assert start(model_dir=tmp_path).predict({}).json["output"].endswith("weights")


def test_setup_gets_none_without_weights(start):
    assert start(WEIGHTS).predict({}).json["output"] == "None"


def test_a_port_in_use_is_fatal(model):
    with Started(model, *LOCAL) as server:
        port = server.says("msg=listening").split("127.0.0.1:")[1].split()[0]
        for flags, env, source in (
            (["--port", port], {"PORT": "1"}, "from --port"),
            ([], {"PORT": port, "COG_PORT": "1"}, "from PORT"),
            ([], {"COG_PORT": port}, "from COG_PORT"),
        ):
            said = refused(model, "--host", "127.0.0.1", *flags, **env)
            assert (
                f"port {port} ({source}): address already in use; " in said
                and "--port or PORT" in said
            )


def refused(model, *flags, before=(), **env):
    """The error of a server that cannot listen."""
    command = [*before, str(BINARY), *flags, str(model)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=20, env=environment(**env)
    )
    assert done.returncode == 1, done.stderr
    return done.stderr


@pytest.mark.parametrize("host", ["192.0.2.1", "nosuch.invalid", "127.0.0.1:80", "2001:db8::1"])
def test_an_address_of_another_machine_names_the_flag(model, host):
    assert f"host {host} (from --host): " in refused(model, "--port", "0", "--host", host)
    said = refused(model, "--port", "0", COG_HOST=host)
    assert (
        f"host {host} (from COG_HOST): " in said
        and "--host or COG_HOST must be an address of this machine" in said
    )


def test_a_port_for_root_names_the_flag(model):
    in_namespaces = [
        "unshare",
        "--user",
        "--net",
    ]  # without the capabilities that would give root this right
    said = refused(model, "--port", "80", before=in_namespaces)
    assert "port 80 (from --port): permission denied; " in said and "from 1024 up" in said


def test_the_server_leaves_nothing_in_the_directory_of_the_model(start, tmp_path):
    (tmp_path / "predict.py").write_text(MODEL)
    (tmp_path / "cog.yaml").write_text(YAML)
    server = start(model_dir=tmp_path)
    server.predict({})
    server.ask("POST", "/shutdown")
    server.process.wait(20)
    names = {p.name for p in tmp_path.iterdir()} - {server.temporary.name}
    assert names <= {"predict.py", "cog.yaml", "__pycache__"}, names


def program_memory(pid: int) -> int:
    """KiB of the read-only pages of the program's file that a server has in memory."""
    total, counts = 0, False
    for line in pathlib.Path(f"/proc/{pid}/smaps").read_text().splitlines():
        fields = line.split()
        if not fields[0].endswith(":"):
            counts = fields[-1] == str(BINARY.resolve()) and "w" not in fields[1]
        elif counts and fields[0] == "Rss:":
            total += int(fields[1])
    return total


MOST_KEPT = 2048  # KiB


def test_memory_that_only_startup_needs_is_released(start):
    server = start(MODEL)
    until("the pages are gone", lambda: program_memory(server.process.pid) < MOST_KEPT)
    assert server.predict({"name": "again"}).json["output"] == "hello again"


def test_memory_of_startup_can_be_kept(start):
    server = start(
        "import time\nclass Predictor:\n    def predict(self) -> str:\n        time.sleep(1)\n",
        "--keep-boot-memory",
    )
    server.predict({})  # takes longer than the server waits before it releases memory
    assert program_memory(server.process.pid) > MOST_KEPT
