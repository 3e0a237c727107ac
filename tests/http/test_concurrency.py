"""How many predictions run at once: docs/python-api.md#concurrency."""

from __future__ import annotations

import pytest

from waiting import until

ASYNC = """
import asyncio
import cog
class Predictor:
    {decorator}
    async def predict(self, s: float = 0) -> str:
        await asyncio.sleep(s)
        return "done"
"""
SYNC = "class Predictor:\n    def predict(self) -> str:\n        return 'done'\n"


def model(directory, decorated: int = 0, yaml: int = 0):
    decorator = f"@cog.concurrent(max={decorated})" if decorated else ""
    (directory / "predict.py").write_text(ASYNC.format(decorator=decorator))
    more = f"concurrency:\n  max: {yaml}\n" if yaml else ""
    (directory / "cog.yaml").write_text("predict: predict.py:Predictor\n" + more)
    return directory


@pytest.mark.parametrize(
    ("flag", "variable", "yaml", "decorated", "slots"),
    [
        (None, None, 0, 0, 1),
        (None, None, 0, 4, 4),
        (None, None, 3, 4, 3),
        (None, "2", 3, 4, 2),
        ("5", "2", 3, 4, 5),
        (None, "", 3, 0, 3),
    ],
)
def test_concurrency_is_set_by_flag_variable_file_or_decorator(
    start, tmp_path, flag, variable, yaml, decorated, slots
):
    flags = ["--max-concurrency", flag] if flag else []
    env = {} if variable is None else {"COG_MAX_CONCURRENCY": variable}
    server = start("", *flags, model_dir=model(tmp_path, decorated, yaml), env=env)
    assert server.health()["concurrency"] == {"max": slots, "current": 0}


def test_max_concurrency_predictions_run_at_once_and_one_more_is_refused(start, tmp_path):
    server = start("", "--max-concurrency", "3", model_dir=model(tmp_path))
    for n in range(3):
        assert server.predict({"s": 60}, {"Prefer": "respond-async"}, id=f"p{n}").status == 202
        assert server.health()["concurrency"] == {"max": 3, "current": n + 1}
        assert server.health()["status"] == ("BUSY" if n == 2 else "READY")
    assert server.predict({}).status == 409
    server.ask("POST", "/predictions/p1/cancel", Prefer="wait")
    assert server.get("/predictions/p1").json["status"] == "canceled", (
        "a request can wait for the cancel"
    )
    assert server.predict({}).json["output"] == "done"
    for n in (0, 2):
        server.ask("POST", f"/predictions/p{n}/cancel")
    until("all slots are free", lambda: server.health()["concurrency"]["current"] == 0)


@pytest.mark.parametrize("how", ["flag", "variable", "yaml"])
def test_concurrency_above_one_needs_an_async_model(start, tmp_path, how):
    (tmp_path / "predict.py").write_text(SYNC)
    more = "concurrency:\n  max: 2\n" if how == "yaml" else ""
    (tmp_path / "cog.yaml").write_text("predict: predict.py:Predictor\n" + more)
    flags = ["--max-concurrency", "2"] if how == "flag" else []
    env = {"COG_MAX_CONCURRENCY": "2"} if how == "variable" else {}
    server = start("", *flags, model_dir=tmp_path, ready=False, env=env)
    server.wait_status("SETUP_FAILED")
    assert "async def" in server.health()["setup"]["logs"]
    assert server.predict({}).status == 503
