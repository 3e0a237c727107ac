"""The promises of docs/security.md about the model's process: it sees no secret of the server, and
it runs as another user.
"""

from __future__ import annotations

import os
import pathlib
import pwd
import shutil
import subprocess
import sys
import tempfile

import pytest

from faults_models import free_port
from model_sources import model_source
from servers import BINARY, ROOT, start_error
from waiting import until

SECRETS = {
    "COGGO_AUTH_TOKEN": "token-4711",
    "WEBHOOK_AUTH_TOKEN": "hook-4712",
    "COGGO_WEBHOOK_SECRET": "whsec_c2VjcmV0LTQ3MTM=",
    "COG_UPLOAD_URL": "http://user:upload-4714@127.0.0.1:1/",
    "OTEL_EXPORTER_OTLP_HEADERS": "authorization=collector-4715",
    "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "authorization=traces-4716",
    "OTEL_EXPORTER_OTLP_METRICS_HEADERS": "authorization=metrics-4717",
    "OTEL_EXPORTER_OTLP_LOGS_HEADERS": "authorization=logs-4718",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://user:endpoint-4719@127.0.0.1:1/",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:1/?key=query-4720",
}

#: Texts to search for: a whole value, or its secret part.
WORDS = [
    value.rpartition("=")[2] if "OTEL" in name else value for name, value in SECRETS.items()
] + [
    "upload-4714",
    "endpoint-4719",
]

MODEL = model_source("faults/models_see_no_secrets")
LINKS = model_source("faults/models_see_no_secrets_links")

TOKEN = {"Authorization": "Bearer token-4711"}


def ask(server, what, headers=TOKEN):
    answer = server.predict({"what": what}, headers).json
    assert answer["status"] == "succeeded", answer
    return answer["output"]


PLACES = ("environment", "/proc/PARENT/environ", "/proc/PARENT/cmdline", "/proc/self/environ")


def seen(server, headers=TOKEN) -> str:
    """Everything that the model can see of the server's arguments and environment."""
    return "\n".join(ask(server, place, headers) for place in PLACES)


def shown(text) -> list[str]:
    return [word for word in WORDS if word in text]


@pytest.mark.parametrize(
    "flags", [[], ["--runner-env", "*"], ["--runner-env", "OTEL_*", "--runner-env", "COG*"]]
)
def test_no_secret_is_in_the_environment_the_command_line_or_the_log(start, flags):
    server = start(MODEL, *flags, env=SECRETS)
    assert shown(seen(server)) == []
    assert "PATH" in ask(server, "environment")
    assert shown(server.log()) == []


def test_a_restarted_runner_sees_no_secret(start):
    server = start(MODEL, env=SECRETS)
    assert server.predict({"what": "die"}, TOKEN).json["status"] == "failed"
    server.wait_status("READY")
    assert shown(seen(server)) == []


def test_a_secret_of_the_command_line_is_wiped_from_it_and_still_signs(start, receiver):
    server = start(
        MODEL,
        "--webhook-secret",
        "whsec_b3RoZXI=",
        "--webhook-secret=" + SECRETS["COGGO_WEBHOOK_SECRET"],
    )
    line = ask(server, "/proc/PARENT/cmdline", {})
    assert "whsec_" not in line and "--webhook-secret=***" in line and "--predict" in line
    server.predict({}, webhook=receiver.url)
    receiver.wait_terminal()
    assert all("webhook-signature" in headers for headers in receiver.headers)


UPLOADING = """
import os, pathlib
from cog import BasePredictor, Path
class Predictor(BasePredictor):
    def predict(self) -> Path:
        line = pathlib.Path(f"/proc/{os.getppid()}/cmdline").read_text()
        pathlib.Path("line.txt").write_text(line + repr(dict(os.environ)))
        return Path("line.txt")
"""


@pytest.mark.parametrize("spelling", ["flag value", "flag=value", "variable"])
def test_the_address_of_uploads_is_wiped_and_still_used(start, store, spelling):
    url = store.url.replace("//", "//user:key-4721@") + "/up?sig=key-4722"
    flags = {"flag value": ["--upload-url", url], "flag=value": ["--upload-url=" + url]}.get(
        spelling, []
    )
    server = start(UPLOADING, *flags, env={"COG_UPLOAD_URL": url} if spelling == "variable" else {})
    answer = server.predict({}).json
    assert answer["output"] == store.url + "/up/line.txt", answer
    (got,) = store.got
    assert got.path == "/up/line.txt?sig=key-4722" and "authorization" in got.headers
    assert b"--predict" in got.body and b"key-472" not in got.body
    assert "key-472" not in server.log()


def test_an_address_of_the_collector_without_a_key_is_seen(start):
    env = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1/",
        "OTEL_SERVICE_NAME": "mine",
        "OTEL_TRACES_EXPORTER": "none",
    }
    visible = eval(ask(start(MODEL, env=env), "environment", {}))
    assert env.items() <= visible.items()


def test_variables_that_the_model_is_not_given_cannot_be_read_off_the_server(start):
    env = {
        "HF_TOKEN": "given-4723",
        "OTHER": "withheld-4724",
        "HTTPS_PROXY": "http://me:withheld-4725@127.0.0.1:1",
    }
    text = seen(start(MODEL, "--runner-env", "HF_*", env=env), {})
    assert "given-4723" in text and "withheld" not in text


#: Runs at the start of every Python process, before any code of the model.
AT_START = """
import os
for path in ("/proc/self/environ", f"/proc/{os.getppid()}/environ", f"/proc/{os.getppid()}/cmdline"):
    with open(path) as f, open(os.environ["SEEN"], "a") as out:
        out.write(f.read())
"""


@pytest.mark.parametrize("command", ["predict", "check", "schema"])
def test_no_command_shows_a_secret_to_what_it_starts(tmp_path, command):
    (tmp_path / "predict.py").write_text("def predict() -> str:\n    return 'done'\n")
    (tmp_path / "sitecustomize.py").write_text(AT_START)
    path = f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"
    env = {**os.environ, **SECRETS, "PYTHONPATH": path, "SEEN": str(tmp_path / "seen")}
    line = [
        str(BINARY),
        command,
        "--predict",
        "predict.py:predict",
        "--python",
        sys.executable,
        str(tmp_path),
    ]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, env=env)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "seen").read_text()
    assert "SEEN=" in text and shown(text + done.stdout + done.stderr) == []


def test_the_model_gets_the_variables_that_are_allowed(start):
    env = {"HF_HOME": "/hf", "HF_TOKEN": "t", "OTHER": "x"}
    server = start(MODEL, "--runner-env", "HF_*", "--runner-env", "MADE=up", env=env)
    visible = eval(ask(server, "environment", {}))
    assert (visible["HF_HOME"], visible["HF_TOKEN"], visible["MADE"]) == ("/hf", "t", "up")
    assert "OTHER" not in visible and "PATH" in visible
    assert {"OTHER": "x"}.items() <= eval(ask(start(MODEL, env=env), "environment", {})).items()


@pytest.mark.parametrize(
    "entry",
    [
        "COGGO_AUTH_TOKEN",
        "WEBHOOK_AUTH_TOKEN=x",
        "COG_UPLOAD_URL",
        "OTEL_EXPORTER_OTLP_HEADERS",
        "OTEL_EXPORTER_OTLP_LOGS_HEADERS=a=b",
        "OTEL_EXPORTER_OTLP_ENDPOINT=http://user:key@collector",
        "=x",
        "[",
        "",
    ],
)
def test_an_invalid_entry_of_runner_env_is_refused(tmp_path, entry):
    (tmp_path / "predict.py").write_text(MODEL)
    assert "--runner-env" in start_error("--runner-env", entry, tmp_path, code=2)


def test_the_working_directory_and_its_files_are_private(start, tmp_path):
    server = start(MODEL, "--working-dir", str(tmp_path / "spool"))
    ask(server, "ids", {})
    for path in [tmp_path / "spool", *(tmp_path / "spool").rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path


@pytest.fixture
def public():
    """A directory that every user can reach, with a copy of the Python package."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="coggo-test-"))
    path.chmod(0o755)
    shutil.copytree(ROOT / "python", path / "python")
    (path / "model").mkdir()
    (path / "tmp").mkdir()
    (path / "tmp").chmod(0o1777)
    yield path
    shutil.rmtree(path)


def nobody(public) -> dict[str, object]:
    """The command of a server whose runner any user can run."""
    python = next(p for p in ("/usr/bin/python3", "/usr/local/bin/python3") if os.path.exists(p))
    env = {
        **SECRETS,
        "TMPDIR": str(public / "tmp"),
        "PYTHONPATH": str(public / "python"),
        "COGGO_PYTHON": python,
    }
    return {"model_dir": public / "model", "env": env, "python": python}


@pytest.mark.no_race(reason="Go cannot set no_new_privs for all threads of a build with cgo")
def test_the_model_runs_as_another_user(start, public):
    """Root can do this; for any other user the error says that it needs root."""
    (public / "model" / "predict.py").write_text(MODEL)
    if os.geteuid() != 0:
        assert "root" in start_error("--runner-user", "nobody", public / "model", code=2)
        return
    server = start(
        "", "--runner-user", "nobody", "--working-dir", str(public / "spool"), **nobody(public)
    )
    ids = eval(ask(server, "ids"))
    assert 0 not in ids[0] + ids[1] and 0 not in ids[2]
    assert ask(server, "new privileges") == "1"
    assert ask(server, "directory") == "0o40700"
    for what in (
        "/proc/PARENT/environ",
        "/proc/PARENT/mem",
        "/etc/shadow",
        f"{pwd.getpwuid(0).pw_dir}/.profile",
    ):
        assert ask(server, what) == "PermissionError", what
    visible = eval(ask(server, "environment"))
    assert visible["USER"] == "nobody" and not set(SECRETS) & set(visible)
    assert shown(ask(server, "environment") + ask(server, "/proc/PARENT/cmdline")) == []


def test_the_server_reads_nothing_that_the_model_could_not(start, public):
    """The model answers with the path of a file of root, or replaces its response by a link to that
    file.
    """
    if os.geteuid() != 0:
        pytest.skip("only root's server could read what its model could not")
    secret = public / "secret"
    secret.write_text("of root")
    secret.chmod(0o600)
    victim = public / "victim"
    victim.write_text("untouched")
    victim.chmod(0o600)
    (public / "model" / "predict.py").write_text(LINKS)
    server = start("", "--runner-user", "nobody:nogroup", **nobody(public))
    for how in ("path", "link", "pending"):
        server.wait_status("READY")
        answer = server.predict({"how": how, "below": str(public)}, TOKEN)
        assert answer.json["status"] == "failed" and b"of root" not in answer.body, answer
        assert how == "link" or "permission denied" in answer.json["error"], answer
    until("it is ready", lambda: server.health()["status"] == "READY")
    server.predict({"how": "path", "below": str(public)}, TOKEN, id="next")
    assert victim.read_text() == "untouched"


def test_the_directory_that_a_server_chooses_is_of_the_models_user_and_outlives_the_server(
    start, public
):
    if os.geteuid() != 0:
        pytest.skip("only root can start a server for another user")
    (public / "model" / "predict.py").write_text(
        "import time\ndef predict() -> int:\n    time.sleep(600)\n    return 1\n"
    )
    flags = ("--runner-user", "nobody:nogroup", "--port", free_port())
    first = start("", *flags, predict="predict.py:predict", **nobody(public))
    path, user = first.spool(), pwd.getpwnam("nobody").pw_uid
    assert path.parent.name == f"coggo-{user}"
    for made in (path, path.parent):
        assert (made.stat().st_uid, oct(made.stat().st_mode)) == (user, "0o40700"), made
    first.predict({}, {**TOKEN, "Prefer": "respond-async"}, id="it")
    first.kill()
    second = start("", *flags, predict="predict.py:predict", **nobody(public))
    assert second.get("/predictions/it", **TOKEN).json["status"] == "failed"


def test_a_directory_of_another_user_is_refused(public):
    (public / "model" / "predict.py").write_text(MODEL)
    (public / "spool").mkdir()
    (public / "spool" / "old").write_text("")
    said = start_error(
        "--runner-user", "nobody", "--working-dir", public / "spool", public / "model"
    )
    assert "chown" in said or "root" in said


def test_an_unknown_user_is_refused(tmp_path):
    (tmp_path / "predict.py").write_text(MODEL)
    for user in ("nobody-of-that-name", "nobody:no-group-of-that-name", "-1", "4242424"):
        assert "--runner-user" in start_error(f"--runner-user={user}", tmp_path, code=2)
