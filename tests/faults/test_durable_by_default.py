"""Without any flag, accepted predictions outlive the server; and no server takes or removes
another's directory.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import signal
import subprocess

import pytest

from faults_models import MODEL, asked, begun, ends, files_in, free_port
from http_harness import Server
from model_sources import model_source
from namespaces import run_inside
from servers import BINARY, start_error
from waiting import until

QUIET = {"webhook_events_filter": ["completed"]}


@pytest.fixture
def again(start, tmp_path):
    """Starts a server with the same port and model each time, one after the other."""
    port = free_port()
    (tmp_path / "tmp").mkdir()
    used: list[pathlib.Path] = []

    def begin(*flags: str, source: str = MODEL, ready: bool = True, **env: str) -> Server:
        server = start(
            source,
            *("--port", port, *flags),
            model_dir=tmp_path,
            env={"TMPDIR": str(tmp_path / "tmp"), **env},
            ready=ready,
        )
        used.append(directory(server))
        return server

    yield begin
    for path in used:
        shutil.rmtree(path, ignore_errors=True)


def directory(server: Server) -> pathlib.Path:
    """The working directory that the server names in its log."""
    [line] = [line for line in server.log().splitlines() if "msg=listening" in line]
    return pathlib.Path(line.rpartition("directory=")[2])


def ended_in_order(server: Server) -> None:
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(30) == 0, server.log()


def test_predictions_of_a_killed_server_finish_without_any_flag(again, receiver, tmp_path):
    gate = tmp_path / "gate"
    first = again("--max-queue", "2")
    for n in range(3):
        asked(first, {"gate": str(gate), "n": n}, id=f"p{n}", webhook=receiver.url, **QUIET)
    begun(first, "p0")
    first.kill()
    gate.touch()
    second = again(ready=False)
    assert directory(second) == directory(first)
    assert [second.ended(f"p{n}")["status"] for n in range(3)] == [
        "failed",
        "succeeded",
        "succeeded",
    ]
    until("the receiver has every end", lambda: len(ends(receiver)) == 3)
    assert {len(told) for told in ends(receiver).values()} == {1}
    ended_in_order(second)
    assert not directory(second).exists()


def test_the_directory_is_private_to_this_user(again):
    path = directory(again())
    for made in (path, path.parent):
        state = made.lstat()
        assert (state.st_uid, oct(state.st_mode)) == (os.geteuid(), "0o40700"), made
    assert path.parent.name == f"coggo-{os.geteuid()}"


def test_an_existing_directory_is_used_wherever_it_is(again):
    """An existing directory takes precedence over the place that the server would choose now."""
    first = again()
    asked(first, {"s": 600}, id="it")
    first.kill()
    path = directory(first)
    model = pathlib.Path(first.process.args[-1])
    elsewhere = model / "tmp" / f"coggo-{os.geteuid()}"
    elsewhere.mkdir(0o700)
    # A pipe can't be moved to another file system. The server makes a new one.
    (path / "logs").unlink()
    shutil.move(path, elsewhere)
    second = again()
    assert directory(second) == elsewhere / path.name
    assert second.get("/predictions/it").json["status"] == "failed"


def test_each_port_and_each_model_has_its_own(again, start, tmp_path_factory):
    one = again()
    model = tmp_path_factory.mktemp("other")
    port = one.process.args[one.process.args.index("--port", 5) + 1]
    paths = {directory(one)}
    other = start(MODEL, "--port", free_port(), model_dir=pathlib.Path(one.process.args[-1]))
    paths.add(directory(other))
    ended_in_order(one)
    paths.add(directory(start(MODEL, "--port", port, model_dir=model)))
    assert len(paths) == 3


def test_an_orderly_end_leaves_only_undelivered_webhooks(again, receiver):
    receiver.answer = lambda n: 503
    first = again("--max-queue", "1")
    asked(first, {"n": 1}, id="owed", webhook=receiver.url, **QUIET)
    asked(first, {"n": 2}, id="told")
    assert {first.ended(id)["status"] for id in ("owed", "told")} == {"succeeded"}
    until("it was tried", lambda: receiver.bodies)
    for _ in range(2):  # the second signal ends the grace period
        first.process.send_signal(signal.SIGTERM)
        until("it is shutting down", lambda: "shutting down" in first.log())
    assert first.process.wait(30) == 0
    left = files_in(directory(first))
    assert len(left) == 2 and left[0] == "lock" and left[1].startswith("outbox/"), left
    receiver.answer = lambda n: 200
    second = again()
    until("it was delivered", lambda: not list((directory(second) / "outbox").iterdir()))
    assert set(receiver.bodies) == {receiver.bodies[0]}
    ended_in_order(second)
    assert not directory(second).exists()


@pytest.mark.parametrize("flags", [("--ephemeral",), ("--port", "0")], ids=lambda f: f[0])
def test_an_ephemeral_directory_is_removed_with_its_server_even_after_a_kill(again, start, flags):
    first = again(*flags)
    path = directory(first)
    asked(first, {"s": 600}, id="it")
    first.kill()
    second = again(*flags)
    assert second.get("/predictions/it").status == 404
    assert directory(second) != path and not path.exists()


HOLDS = """
import time
from cog import BasePredictor, Path
class Predictor(BasePredictor):
    def predict(self, file: Path = None) -> str:
        time.sleep(600)
"""


@pytest.mark.parametrize(
    "flags", [(), ("--ephemeral",), ("--working-dir",)], ids=["own", "ephemeral", "chosen"]
)
def test_input_files_are_removed_with_their_server_even_after_a_kill(again, tmp_path, flags):
    more = (*flags, str(tmp_path / "spool")) if flags == ("--working-dir",) else flags
    first = again(*more, source=HOLDS)
    asked(first, {"file": "data:,x"}, id="it")
    until("it runs", lambda: first.get("/predictions/it").json["status"] == "processing")
    assert [file.read_text() for made in first.inputs() for file in made.glob("*/*")] == ["x"]
    first.kill()
    assert first.inputs()
    second = again(*more, source=HOLDS)
    assert second.inputs() == []
    ended_in_order(second)
    assert not list((tmp_path / "tmp").glob("coggo-inputs-*"))


def test_directories_in_use_are_not_removed():
    run_inside("sweeping.py")


REMOVES = model_source("faults/durable_by_default_removes")


@pytest.mark.parametrize("what", ["all", "contents"])
@pytest.mark.parametrize("parent", [False, True], ids=["directory", "parent"])
def test_a_server_whose_model_removes_the_directory_keeps_it(start, tmp_path, what, parent):
    path = tmp_path / "parent" / "spool"
    env = {"VICTIM": str(path), **({"PARENT": "1"} if parent else {})}
    server = start(REMOVES, "--working-dir", str(path), env=env)

    def refused() -> None:
        assert "in use by another server" in start_error("--working-dir", path, ".")

    refused()
    server.predict({"what": what})
    refused()
    until(
        "it serves again", lambda: server.predict({"what": "nothing"}).json["status"] == "succeeded"
    )
    refused()
    assert (path / "lock").exists(), "a server in another container looks for it"


def test_a_fresh_directory_is_used_and_named_while_another_server_has_the_usual_one(again, start):
    """On another address with the same port, and in another network namespace, where only the lock
    file tells that the directory is in use.
    """
    first = again()
    model, port = (
        first.process.args[-1],
        first.process.args[first.process.args.index("--port", 5) + 1],
    )
    env = {"TMPDIR": str(pathlib.Path(model) / "tmp")}
    second = start(
        "",
        "--port",
        port,
        "--host",
        "127.0.0.2",
        model_dir=pathlib.Path(model),
        env=env,
        ready=False,
    )
    until("it says so", lambda: "in use by another server" in second.log())
    assert directory(second) != directory(first)
    ended_in_order(second)
    apart = [
        "unshare",
        "--map-root-user",
        "--net",
        str(BINARY),
        "--port",
        port,
        "--predict",
        "predict.py:Predictor",
        model,
    ]
    with subprocess.Popen(
        apart, env={**os.environ, **env}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as third:
        assert third.stdout is not None
        said = ""
        while "msg=listening" not in said and (line := third.stdout.readline().decode()):
            said += line
        third.send_signal(signal.SIGTERM)
        third.communicate(timeout=30)
    if "Operation not permitted" not in said:
        assert "in use by another server" in said and "msg=listening" in said
        assert str(directory(first)) not in said.partition("msg=listening")[2]
    assert first.predict({}).json["status"] == "succeeded"


def test_a_directory_made_by_somebody_else_is_not_used():
    run_inside("private_base.py")
