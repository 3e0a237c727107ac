"""/health-check is always 200, /livez while the server lives, /readyz while it accepts predictions:
docs/http-api.md#health.
"""

from __future__ import annotations

import pytest

from waiting import until

MODEL = """
import pathlib, time
class Predictor:
    def setup(self):
        while not pathlib.Path("go").exists(): time.sleep(0.01)
    def healthcheck(self):
        return not pathlib.Path("ill").exists()
    def predict(self, s: float = 0) -> str:
        time.sleep(s)
        return "done"
"""


def probes(server):
    answers = [server.get(path) for path in ("/health-check", "/livez", "/readyz")]
    assert all(a.headers["content-type"] == "application/json" for a in answers)
    assert answers[0].json["status"] == answers[2].json["status"]
    return answers[2].json["status"], [a.status for a in answers]


def test_probes_follow_the_life_of_a_server(start, tmp_path):
    (tmp_path / "predict.py").write_text(MODEL)
    server = start(model_dir=tmp_path, ready=False)
    assert probes(server) == ("STARTING", [200, 200, 503])
    (tmp_path / "go").touch()
    server.wait_status("READY")
    assert probes(server) == ("READY", [200, 200, 200])
    server.predict({"s": 60}, {"Prefer": "respond-async"}, id="it")
    assert probes(server) == ("BUSY", [200, 200, 200])
    (tmp_path / "ill").touch()
    assert probes(server) == ("UNHEALTHY", [200, 200, 503])
    assert "returned False" in server.get("/readyz").json["detail"]
    (tmp_path / "ill").unlink()
    server.ask("POST", "/shutdown")
    until("it takes no more", lambda: server.get("/readyz").status == 503)
    assert (
        server.get("/livez").status == 200
        and "shutting down" in server.get("/readyz").json["detail"]
    )
    server.ask("POST", "/predictions/it/cancel")
    assert server.process.wait(20) == 0


@pytest.mark.parametrize(
    ("source", "flags", "status"),
    [
        ("1/0", [], "SETUP_FAILED"),
        (
            "import os\nclass Predictor:\n    def predict(self) -> str: os._exit(1)\n",
            ["--max-restarts", "0"],
            "DEFUNCT",
        ),
    ],
)
def test_readyz_fails_for_an_unusable_model(start, source, flags, status):
    server = start(source, "--await-explicit-shutdown", *flags, ready=status == "DEFUNCT")
    if status == "DEFUNCT":
        server.predict({})
    server.wait_status(status)
    assert probes(server) == (status, [200, 200, 503])


def test_probes_answer_head_requests(start_once):
    server = start_once("class Predictor:\n    def predict(self) -> str: ...\n")
    for path in ("/health-check", "/livez", "/readyz"):
        answer = server.ask("HEAD", path)
        assert (
            answer.status == 200
            and answer.body == b""
            and int(answer.headers["content-length"]) > 0
        )


def test_the_start_waits_for_the_wait_file(start, tmp_path):
    """COG_WAIT_FILE: the server listens and reports STARTING, and loads the model once the file
    exists.
    """
    hold, touched = tmp_path / "hold", tmp_path / "touched"
    source = f"import pathlib\npathlib.Path({str(touched)!r}).touch()\nclass Predictor:\n    def predict(self) -> str: ...\n"
    server = start(source, ready=False, env={"COG_WAIT_FILE": str(hold)})
    for _ in range(20):
        assert probes(server) == ("STARTING", [200, 200, 503])
    assert server.predict({}).status == 503 and server.get("/openapi.json").status == 503
    assert not touched.exists()
    hold.touch()
    server.wait_status("READY")
    assert touched.exists()


def test_a_server_that_waits_for_the_wait_file_can_be_stopped(start, tmp_path):
    server = start("1/0", ready=False, env={"COG_WAIT_FILE": str(tmp_path / "never")})
    server.ask("POST", "/shutdown")
    assert server.process.wait(20) == 0
    assert "runner started" not in server.log()
