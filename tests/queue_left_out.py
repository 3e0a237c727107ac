"""Which tests of HTTP do not run through a gateway, see ``make test-queue``, and why.

The keys are files, or tests in them.
"""

from __future__ import annotations

COMMAND = "a command, or how one process starts"
MODEL = "the model and its runner, which a queue does not change"
PROCESS = "one process: its runner, its memory or its end"
PARTIAL = "through a queue what runs shows neither output nor logs yet"
STREAM = "through a queue streams only have the start and the end yet"
FILES = "servers that share a queue keep no files"

#: Files and tests that are about one process, or about what a queue does otherwise.
LEFT_OUT: dict[str, str] = {
    "http/test_architecture.py": "documents",
    "http/test_banner.py": COMMAND,
    "http/test_check.py": COMMAND,
    "http/test_cli.py": COMMAND,
    "http/test_cog_commands.py": COMMAND,
    "http/test_cog_yaml.py": COMMAND,
    "http/test_direct_calls.py": MODEL,
    "http/test_docs.py": "documents",
    "http/test_examples.py": COMMAND,
    "http/test_from_cog.py": "documents",
    "http/test_init.py": COMMAND,
    "http/test_kubernetes.py": PROCESS,
    "http/test_log_of_the_server.py": PROCESS,
    "http/test_makefile.py": "documents",
    "http/test_model_lines.py": PROCESS,
    "http/test_odd_models.py": MODEL,
    "http/test_old_models.py": MODEL,
    "http/test_operators.py": COMMAND,
    "http/test_process.py": MODEL,
    "http/test_python_api.py": "documents",
    "http/test_reload.py": "--reload is refused with --queue",
    "http/test_reload_watching.py": "--reload is refused with --queue",
    "http/test_sequence.py": PROCESS,
    "http/test_shutdown.py": PROCESS,
    "http/test_shutdown_no_restart.py": PROCESS,
    "http/test_streams.py": STREAM,
    "http/test_terminal.py": COMMAND,
    "http/test_usage.py": COMMAND,
    "http/test_weights.py": MODEL,
    "http/test_without_tricks.py": PROCESS,
    "http/test_cancel.py::test_a_canceled_prediction_ends_canceled_with_what_it_had": PARTIAL,
    "http/test_cancel.py::test_an_error_during_the_cleanup_is_a_cancel_or_a_failure": PARTIAL,
    "http/test_cancel.py::test_the_waiting_request_is_answered_canceled": PARTIAL,
    "http/test_cancel.py::test_cancels_can_be_repeated": PARTIAL,
    "http/test_cancel.py::test_a_client_that_leaves_a_synchronous_request_cancels_it": PARTIAL,
    "http/test_cancel.py::test_a_client_that_sends_more_and_leaves_is_noticed": PARTIAL,
    "http/test_cancel.py::test_a_client_that_leaves_an_async_request_does_not_cancel_it": PARTIAL,
    "http/test_cancel.py::test_a_client_that_asked_to_wait_can_leave_and_come_back": PARTIAL,
    "http/test_cancel.py::test_other_predictions_continue_when_one_of_many_is_canceled": PARTIAL,
    "http/test_cancel.py::test_a_runner_that_is_being_replaced_gets_no_new_prediction": PROCESS,
    "http/test_cancel.py::test_a_cancel_signal_that_a_model_missed_is_sent_again": PROCESS,
}

#: Files and tests with one worker in place of two.
ONE_WORKER: dict[str, str] = {
    "http/test_queue.py": "they wait for the only slot",
}


def listed(reasons: dict[str, str], node: str) -> bool:
    """Report whether a test is in a list. ``node`` is its id, with the path below ``tests``."""
    file, _, name = node.partition("::")
    return file in reasons or f"{file}::{name.partition('[')[0]}" in reasons
