"""What docs/security.md promises of the model's process: what it sees of the server, and as whom it runs."""

from __future__ import annotations

import os
import pathlib
import pwd
import shutil
import subprocess
import tempfile

import pytest

from conftest import BINARY, ROOT
from waiting import until

SECRETS = {
    "COGGO_AUTH_TOKEN": "token-4711",
    "WEBHOOK_AUTH_TOKEN": "hook-4712",
    "COGGO_WEBHOOK_SECRET": "whsec_c2VjcmV0LTQ3MTM=",
}

MODEL = """
import os
class Predictor:
    def predict(self, what: str = "") -> str:
        if what == "environment":
            return repr(dict(os.environ))
        if what == "ids":
            return repr((os.getresuid(), os.getresgid(), os.getgroups()))
        if what == "new privileges":
            return open("/proc/self/status").read().split("NoNewPrivs:")[1].split()[0]
        if what == "directory":
            words = open("/proc/self/cmdline").read().split(chr(0))
            return oct(os.stat(words[words.index("--working-dir") + 1]).st_mode)
        try:
            with open(what.replace("PARENT", str(os.getppid())), "rb") as f:
                return repr(f.read(1_000_000))
        except OSError as error:
            return type(error).__name__
"""

TOKEN = {"Authorization": "Bearer token-4711"}


def ask(server, what, headers=TOKEN):
    answer = server.predict({"what": what}, headers).json
    assert answer["status"] == "succeeded", answer
    return answer["output"]


def test_no_secret_is_in_the_environment_the_command_line_or_the_log(start):
    server = start(MODEL, env=SECRETS)
    for what in ("environment", "/proc/PARENT/environ", "/proc/PARENT/cmdline", "/proc/self/environ"):
        shown = ask(server, what)
        assert not any(value in shown for value in SECRETS.values()), what
    assert "PATH" in ask(server, "environment")
    assert not any(value in server.log() for value in SECRETS.values())


def test_a_secret_of_the_command_line_is_wiped_from_it_and_still_signs(start, receiver):
    server = start(
        MODEL,
        "--webhook-secret",
        SECRETS["COGGO_WEBHOOK_SECRET"],
        "--webhook-secret=" + SECRETS["COGGO_WEBHOOK_SECRET"],
    )
    assert SECRETS["COGGO_WEBHOOK_SECRET"] not in ask(server, "/proc/PARENT/cmdline", {})
    server.predict({}, webhook=receiver.url)
    receiver.wait_terminal()
    assert all("webhook-signature" in headers for headers in receiver.headers)


def test_the_model_gets_the_variables_that_are_allowed(start):
    env = {"HF_HOME": "/hf", "HF_TOKEN": "t", "OTHER": "x"}
    server = start(MODEL, "--runner-env", "HF_*", "--runner-env", "MADE=up", env=env)
    seen = eval(ask(server, "environment", {}))
    assert (seen["HF_HOME"], seen["HF_TOKEN"], seen["MADE"]) == ("/hf", "t", "up")
    assert "OTHER" not in seen and "PATH" in seen
    assert {"OTHER": "x"}.items() <= eval(ask(start(MODEL, env=env), "environment", {})).items()


def refused(directory, *flags) -> str:
    """What a start says that must not succeed."""
    line = [str(BINARY), "--predict", "predict.py:Predictor", "--port", "0", *flags, str(directory)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=30)
    assert done.returncode != 0, done.stderr
    return done.stderr


@pytest.mark.parametrize("entry", ["COGGO_AUTH_TOKEN", "WEBHOOK_AUTH_TOKEN=x", "=x", "[", ""])
def test_an_entry_that_makes_no_sense_is_refused(tmp_path, entry):
    (tmp_path / "predict.py").write_text(MODEL)
    assert "--runner-env" in refused(tmp_path, "--runner-env", entry)


def test_the_working_directory_and_its_files_are_private(start, tmp_path):
    server = start(MODEL, "--working-dir", str(tmp_path / "spool"))
    ask(server, "ids", {})
    for path in [tmp_path / "spool", *(tmp_path / "spool").rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path


@pytest.fixture
def public():
    """A directory that every user can reach, with a copy of the Python half."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="coggo-test-"))
    path.chmod(0o755)
    shutil.copytree(ROOT / "python", path / "python")
    (path / "model").mkdir()
    (path / "tmp").mkdir()
    (path / "tmp").chmod(0o1777)
    yield path
    shutil.rmtree(path)


def nobody(public) -> dict[str, object]:
    """How to start a server whose runner any user can run."""
    python = next(p for p in ("/usr/bin/python3", "/usr/local/bin/python3") if os.path.exists(p))
    env = {**SECRETS, "TMPDIR": str(public / "tmp"), "PYTHONPATH": str(public / "python"), "COGGO_PYTHON": python}
    return {"model_dir": public / "model", "env": env, "python": python}


def test_the_model_runs_as_another_user(start, public):
    """As root the real thing; any other user is told that it takes root."""
    (public / "model" / "predict.py").write_text(MODEL)
    if os.geteuid() != 0:
        assert "root" in refused(public / "model", "--runner-user", "nobody")
        return
    server = start("", "--runner-user", "nobody", "--working-dir", str(public / "spool"), **nobody(public))
    ids = eval(ask(server, "ids"))
    assert 0 not in ids[0] + ids[1] and 0 not in ids[2]
    assert ask(server, "new privileges") == "1"
    assert ask(server, "directory") == "0o40700"
    for what in ("/proc/PARENT/environ", "/proc/PARENT/mem", "/etc/shadow", f"{pwd.getpwuid(0).pw_dir}/.profile"):
        assert ask(server, what) == "PermissionError", what
    seen = eval(ask(server, "environment"))
    assert seen["USER"] == "nobody" and not set(SECRETS) & set(seen)


def test_the_server_reads_nothing_that_the_model_could_not(start, public):
    """A model that answers with the path of a file of root's, or puts a link to it in the place of an answer."""
    if os.geteuid() != 0:
        pytest.skip("only root's server could read what its model could not")
    secret = public / "secret"
    secret.write_text("of root")
    secret.chmod(0o600)
    source = f"""
import os
from cog import BasePredictor, Path
class Predictor(BasePredictor):
    def predict(self, how: str) -> Path:
        words = open("/proc/self/cmdline").read().split(chr(0))
        spool = words[words.index("--working-dir") + 1]
        if how == "link":
            [request] = [n for n in os.listdir(spool) if n.startswith("request-")]
            os.symlink({str(secret)!r}, spool + "/response-" + request[len("request-"):])
        if how == "pending":
            os.symlink({str(public / "victim")!r}, spool + "/.tmp/request-next.json")
        return Path({str(secret)!r})
"""
    victim = public / "victim"
    victim.write_text("untouched")
    victim.chmod(0o600)
    (public / "model" / "predict.py").write_text(source)
    server = start("", "--runner-user", "nobody:nogroup", **nobody(public))
    for how in ("path", "link", "pending"):
        server.wait_status("READY")
        answer = server.predict({"how": how}, TOKEN)
        assert answer.json["status"] == "failed" and b"of root" not in answer.body, answer
    until("it is ready", lambda: server.health()["status"] == "READY")
    server.predict({"how": "path"}, TOKEN, id="next")
    assert victim.read_text() == "untouched"


def test_a_directory_of_another_user_is_refused(public):
    (public / "model" / "predict.py").write_text(MODEL)
    (public / "spool").mkdir()
    (public / "spool" / "old").write_text("")
    said = refused(public / "model", "--runner-user", "nobody", "--working-dir", str(public / "spool"))
    assert "chown" in said or "root" in said


def test_a_user_who_is_not_there_is_refused(tmp_path):
    (tmp_path / "predict.py").write_text(MODEL)
    for user in ("nobody-of-that-name", "nobody:no-group-of-that-name", "-1", "4242424"):
        assert "--runner-user" in refused(tmp_path, f"--runner-user={user}")
