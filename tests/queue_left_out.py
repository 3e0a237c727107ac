"""Which tests of HTTP do not run through a gateway, see ``make test-queue``, and why.

The keys are files, or tests in them.
"""

from __future__ import annotations

COMMAND = "a command, or how one process starts"
MODEL = "the model and its runner, which a queue does not change"
PROCESS = "one process: its runner, its memory, its metrics or its end"
STATE = "a gateway has no model whose setup, state or healthcheck it could show"
WAITS = "on a queue every prediction waits for a worker, so there is no 409 for lack of a slot"
RETAIN = "on a queue --retain-for alone says how long ends are kept"
NAMES = "on a queue the name chooses the model, and /models has them all"
SPANS = "with a queue a prediction has a span more"

#: Files and tests that are about one process, or about what a queue does otherwise.
LEFT_OUT: dict[str, str] = {
    "http/test_addresses.py::test_every_path_is_served_with_and_without_the_prefix": NAMES,
    "http/test_architecture.py": "documents",
    "http/test_auth.py::test_the_model_never_sees_the_token": STATE,
    "http/test_auth.py::test_without_a_token_only_the_state_of_the_model_is_visible": STATE,
    "http/test_banner.py": COMMAND,
    "http/test_batch.py::test_a_failing_setup_of_a_batched_model_is_reported": STATE,
    "http/test_batch.py::test_cancel_during_the_call_lets_the_others_finish": WAITS,
    "http/test_cancel.py::test_a_cancel_signal_that_a_model_missed_is_sent_again": PROCESS,
    "http/test_cancel.py::test_a_canceled_prediction_that_is_not_retained_is_not_found": RETAIN,
    "http/test_cancel.py::test_a_client_that_asked_to_wait_can_leave_and_come_back": WAITS,
    "http/test_cancel.py::test_other_predictions_continue_when_one_of_many_is_canceled": STATE,
    "http/test_cancel.py::test_the_id_of_a_canceled_prediction_is_refused_while_its_code_still_runs": WAITS,
    "http/test_check.py": COMMAND,
    "http/test_cli.py": COMMAND,
    "http/test_cog_commands.py": COMMAND,
    "http/test_cog_yaml.py": COMMAND,
    "http/test_concurrency.py::test_concurrency_above_one_needs_an_async_model": STATE,
    "http/test_concurrency.py::test_max_concurrency_predictions_run_at_once_and_one_more_is_refused": WAITS,
    "http/test_direct_calls.py": MODEL,
    "http/test_docs.py": "documents",
    "http/test_document.py::test_the_document_describes_the_model_and_every_request": "the model has another name",
    "http/test_ended.py::test_an_upload_is_complete_although_the_model_keeps_writing": PROCESS,
    "http/test_endpoints.py::test_a_model_that_does_not_load_has_no_schema": STATE,
    "http/test_endpoints.py::test_a_server_without_a_queue_says_so": PROCESS,
    "http/test_endpoints.py::test_the_schema_is_served_while_setup_runs": STATE,
    "http/test_examples.py": COMMAND,
    "http/test_fetching.py": "on a queue a prediction has a slot while its files are fetched",
    "http/test_from_cog.py": "documents",
    "http/test_health.py::test_a_failed_setup_is_reported_with_its_logs": STATE,
    "http/test_health.py::test_a_setup_that_takes_too_long_is_ended_and_killed": STATE,
    "http/test_health.py::test_a_synchronous_model_with_concurrency_fails_its_setup": STATE,
    "http/test_health.py::test_health_answers_at_once_while_the_model_computes": STATE,
    "http/test_health.py::test_health_has_these_members": STATE,
    "http/test_health.py::test_only_the_health_path_calls_the_healthcheck": STATE,
    "http/test_health.py::test_the_models_own_healthcheck": STATE,
    "http/test_health.py::test_the_setup_timeout_of_the_environment": STATE,
    "http/test_health.py::test_the_status_is_starting_then_ready_then_busy": STATE,
    "http/test_http2.py::test_shutdown_sends_a_running_answer_and_accepts_nothing_new": PROCESS,
    "http/test_ids.py::test_nothing_is_written_outside_the_working_directory": PROCESS,
    "http/test_init.py": COMMAND,
    "http/test_kubernetes.py": PROCESS,
    "http/test_large_output_files.py::test_a_large_file_is_never_in_memory_on_any_path": PROCESS,
    "http/test_large_output_files.py::test_a_large_file_outlives_the_server": PROCESS,
    "http/test_log_of_the_server.py": PROCESS,
    "http/test_logs.py::test_the_logs_of_setup_are_in_the_order_of_writing": STATE,
    "http/test_makefile.py": "documents",
    "http/test_many.py::test_with_every_slot_taken_one_more_is_refused_and_each_cancel_hits_its_own": WAITS,
    "http/test_model_lines.py": PROCESS,
    "http/test_null.py::test_null_is_recovered_after_a_restart": PROCESS,
    "http/test_odd_models.py": MODEL,
    "http/test_old_models.py": MODEL,
    "http/test_operators.py": COMMAND,
    "http/test_output_files.py::test_an_open_named_temporary_file_is_sent_and_removed": PROCESS,
    "http/test_probes.py::test_probes_follow_the_life_of_a_server": STATE,
    "http/test_probes.py::test_readyz_fails_for_an_unusable_model": STATE,
    "http/test_probes.py::test_the_start_waits_for_the_wait_file": STATE,
    "http/test_process.py": MODEL,
    "http/test_prometheus.py": PROCESS,
    "http/test_pydantic.py::test_files_are_fetched_again_for_predictions_of_a_killed_server": PROCESS,
    "http/test_pydantic.py::test_uncheckable_constraints_are_refused_when_the_model_is_loaded": STATE,
    "http/test_python_api.py": "documents",
    "http/test_queue.py::test_64_predictions_of_v1_wait_in_order_without_the_flag": WAITS,
    "http/test_queue.py::test_queued_predictions_run_in_order": STATE,
    "http/test_queue.py::test_the_queue_of_v1_without_the_flag_is_bounded_in_bytes_too": WAITS,
    "http/test_queue.py::test_with_the_flag_v1_shares_the_same_queue": WAITS,
    "http/test_queue.py::test_without_max_queue_the_answer_is_409_and_names_the_flag": WAITS,
    "http/test_refusals.py::test_a_refusal_for_lack_of_a_slot_has_these_members": WAITS,
    "http/test_refusals.py::test_a_refusal_without_a_model_has_these_members": STATE,
    "http/test_reload.py": "--reload is refused with --queue",
    "http/test_reload_watching.py": "--reload is refused with --queue",
    "http/test_response.py::test_an_async_answer_repeats_the_request": WAITS,
    "http/test_response.py::test_the_error_of_a_busy_server_has_detail_error_and_status": WAITS,
    "http/test_retention.py::test_nothing_is_retained_with_retain_0": RETAIN,
    "http/test_retention.py::test_the_default_is_the_last_thousand": RETAIN,
    "http/test_retention.py::test_the_last_predictions_are_retained": RETAIN,
    "http/test_retry_after.py": WAITS,
    "http/test_runners.py": PROCESS,
    "http/test_sequence.py": PROCESS,
    "http/test_shutdown.py": PROCESS,
    "http/test_shutdown_no_restart.py": PROCESS,
    "http/test_status_codes.py::test_503_after_a_failed_setup": STATE,
    "http/test_status_codes.py::test_503_and_never_409_while_the_runner_restarts": STATE,
    "http/test_status_codes.py::test_503_once_the_runner_is_given_up": STATE,
    "http/test_status_codes.py::test_503_while_shutting_down": PROCESS,
    "http/test_streams.py::test_a_reader_that_reconnects_to_the_next_server_sees_the_end": PROCESS,
    "http/test_terminal.py": COMMAND,
    "http/test_traces.py::test_a_collector_that_fails_affects_no_prediction": PROCESS,
    "http/test_traces.py::test_a_failure_is_an_error": SPANS,
    "http/test_traces.py::test_a_prediction_is_a_span_with_children": SPANS,
    "http/test_traces.py::test_the_model_sees_the_span_that_it_runs_in": SPANS,
    "http/test_trainings.py::test_a_put_during_a_training_shows_its_state_and_a_cancel_ends_it": WAITS,
    "http/test_trainings.py::test_an_invalid_train_that_was_configured_fails_the_setup": STATE,
    "http/test_urls.py::test_a_webhook_sent_again_after_a_kill_has_the_same_url": PROCESS,
    "http/test_usage.py": COMMAND,
    "http/test_v1_python.py::test_create_by_model_and_by_deployment": NAMES,
    "http/test_webhooks.py::test_a_prediction_that_runs_at_shutdown_sends_its_webhook": PROCESS,
    "http/test_webhooks.py::test_the_token_goes_to_the_named_hosts": PROCESS,
    "http/test_weights.py": MODEL,
    "http/test_without_tricks.py": PROCESS,
}

#: Files and tests with one worker in place of two.
ONE_WORKER: dict[str, str] = {
    "http/test_batch.py": "a batch is of one worker",
    "http/test_cancel.py": "they look for the process that has ended",
    "http/test_concurrency.py": "they count slots",
    "http/test_ended.py": "they look at files of the run before",
    "http/test_files.py::test_a_directory_open_to_others_gets_no_file": "it changes a directory of the worker",
    "http/test_http2.py": "they wait for the only slot",
    "http/test_ids.py": "the model counts its runs",
    "http/test_logs.py": "they look at what the run before has left",
    "http/test_many.py": "they count slots",
    "http/test_queue.py": "they wait for the only slot",
    "http/test_retention.py": "the model counts its runs",
    "http/test_secrets.py": "they look at the files of the only worker",
    "http/test_trainings.py": "they look for state of the model that a training shares",
}


def listed(reasons: dict[str, str], node: str) -> bool:
    """Report whether a test is in a list. ``node`` is its id, with the path below ``tests``.

    A key that ends within the parameters of a test is about all that begin like it.
    """
    file, _, name = node.partition("::")
    if file in reasons or f"{file}::{name.partition('[')[0]}" in reasons:
        return True
    return any(node.startswith(key) for key in reasons if "[" in key)
