"""The runner process: loads a model, sets it up, and runs the predictions that arrive as files.

The server calls `main` (internal/runner). docs/protocol.md specifies the files that the two
exchange.
"""

from __future__ import annotations

import sys

# Checked before the imports, because an older Python cannot compile the modules below.
if sys.version_info < (3, 9):  # noqa: UP036
    sys.exit(
        f"this is Python {sys.version_info[0]}.{sys.version_info[1]}, it must be 3.9 or newer:"
        " name another with --python"
    )

from typing import Any

from cog.internal.contract.exception_text import describe, is_a, leave_fork, trace
from cog.internal.pristine import builtins as __builtins__  # noqa: F401
from cog.internal.pristine import os
from cog.internal.runtime.cancelation import Doorbell
from cog.internal.runtime.inherit import follow_threads
from cog.internal.runtime.logs import Streams
from cog.internal.runtime.sync_runner import SyncRunner
from cog.internal.wire import libc
from cog.internal.wire.inotify import watch
from cog.internal.wire.spool import Spool, timestamp

_USAGE = (
    "usage: python3 -m cog.internal.file_runner --working-dir DIR --predict FILE:NAME"
    " [--named predict|run] [--train FILE:NAME] [--max-concurrency N] [--busy-poll SECONDS]"
    " [--checking yes]"
)

#: Exit status of a runner that cannot write its answers.
UNWRITABLE = 74


def main(argv: list[str]) -> int:
    """Run the process from start to stop, and return its exit status."""
    options = parse(argv)
    # The model may parse sys.argv, so it looks like that of a script.
    sys.argv = [os.path.abspath(options["predict"].rpartition(":")[0])]
    server = os.getppid()
    follow_parent(server)
    spool = Spool(os.path.abspath(options["working-dir"]), server)
    try:
        return live(options, spool)
    except OSError as error:  # from the working directory: errors of the model become answers
        os.write(2, f"the working directory can't be used: {error}\n".encode())
        return UNWRITABLE


def live(options: dict[str, str], spool: Spool) -> int:
    """Set the model up, and take requests until the server says stop."""
    # Before the import of the model, because its loggers keep the stream that they find then.
    streams = Streams(spool.logs)
    follow_threads()
    names = watch(spool.path)  # before the first announcement, so that it sees every request
    doorbell = Doorbell()  # from now on SIGUSR1 does not kill the process
    setup = Setup(spool, streams)
    model = setup.run(options)
    spool.look_here()
    if model is None:
        return 1
    spool.ready()
    if setup.loop is not None and model.predict.is_async:
        from cog.internal.runtime.async_runner import AsyncRunner

        if model.predict.batching:
            from cog.internal.runtime.async_batch import Batcher

            model.predict.target = Batcher(setup.loop, model, streams.server)
        return AsyncRunner(setup.loop, spool, model, names, streams).serve()
    if model.predict.batching:
        from cog.internal.runtime.batch_runner import BatchRunner

        return BatchRunner(spool, model, names, doorbell, streams).serve()
    return SyncRunner(
        spool, model, names, doorbell, streams, float(options.get("busy-poll", 0))
    ).serve()


def parse(argv: list[str]) -> dict[str, str]:
    """Return the options by name. Does not use argparse, whose import takes several milliseconds of
    each cold start.
    """
    options = dict(zip(argv[::2], argv[1::2]))
    known = {word.strip("[") for word in _USAGE.split() if word.strip("[").startswith("--")}
    if len(argv) % 2 or not {"--working-dir", "--predict"} <= set(options) <= known:
        sys.exit(_USAGE)
    return {name[2:]: value for name, value in options.items()}


def follow_parent(server: int) -> None:
    """Let this process die when the server dies, however that dies."""
    try:
        libc.die_with_parent()
    except (OSError, AttributeError):
        watch_parent(server)
    if os.getppid() != server:
        sys.exit("the server has exited")


def watch_parent(server: int) -> None:
    """Check once a second whether the parent lives, where the kernel cannot signal its death."""
    import threading
    import time

    getppid, leave, sleep = os.getppid, os._exit, time.sleep

    def look() -> None:
        while getppid() == server:
            sleep(1)
        leave(1)

    threading.Thread(target=look, name="cog-parent", daemon=True).start()


class Setup:
    """Loads the model, runs its ``setup()``, and writes the result of both."""

    def __init__(self, spool: Spool, streams: Streams) -> None:
        self._spool = spool
        self._streams = streams
        self._started = timestamp()
        self._warnings: list[str] = []  # oddities of the model that still work
        self.loop: Any | None = None  # the loop of an async model

    def run(self, options: dict[str, str]) -> Any | None:
        """Return the model, ready for predictions, or None if loading or setup has failed."""
        model = None
        try:
            model = self._load(options)
            self._spool.put_schema(model.openapi())
            self._setup(model)
        except BaseException as error:  # even sys.exit() in a setup is a failed setup
            if self._spool.forked:
                leave_fork(error)
            self._failed(model, error)
            return None
        self._put("succeeded", model)
        return model

    def _setup(self, model: Any) -> None:
        if model.mode == "async":
            # Local, because importing asyncio takes longer than all other imports together.
            from cog.internal.runtime.async_runner import new_loop, run_setup

            self.loop = new_loop()
            run_setup(self.loop, model.setup)
        else:
            model.setup()

    def _load(self, options: dict[str, str]) -> Any:
        from cog.errors import LoadError
        from cog.internal.contract.loader import load

        limit = options.get("max-concurrency")
        try:
            named = options.get("named", "predict")
            limit_given = int(limit) if limit else None
            model = load(
                options["predict"], options.get("train"), limit_given, named, "checking" in options
            )
        except LoadError as error:
            self._warnings = error.warnings
            raise
        self._warnings = model.warnings
        return model

    def _failed(self, model: Any | None, error: BaseException) -> None:
        from cog.errors import LoadError

        refused = is_a(error, LoadError)
        self._put(
            "failed",
            model,
            stage=_stage(error) if model is None else "setup",
            failure="refused" if refused else "raised",
            error=describe(error),
            traceback=f"{error}\n" if refused else trace(error),
        )

    def _put(
        self,
        status: str,
        model: Any | None,
        stage: str | None = None,
        failure: str | None = None,
        error: str | None = None,
        traceback: str | None = None,
    ) -> None:
        from cog import __version__

        batching = model.predict.batching if model else None
        self._streams.flush()
        self._spool.put_setup_result(
            {
                "status": status,
                "started_at": self._started,
                "completed_at": timestamp(),
                "stage": stage,
                "failure": failure,
                "error": error,
                "traceback": traceback,
                "warnings": self._warnings,
                "mode": "async" if model and model.predict.is_async else "sync",
                "max_concurrency": model.max_concurrency if model else 1,
                "batch": {"max_size": batching.max_size, "wait": batching.max_wait}
                if batching
                else None,
                "healthcheck": bool(model and model.has_healthcheck),
                "train": bool(model and model.train),
                "python": ".".join(map(str, sys.version_info[:3])),
                "cog": __version__,
            }
        )


def _stage(error: BaseException) -> str:
    """Return the stage in which loading the model failed."""
    from cog.errors import LoadError

    if is_a(error, LoadError):
        return str(error.stage)  # type: ignore[attr-defined]
    return "syntax" if is_a(error, SyntaxError) else "import"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
