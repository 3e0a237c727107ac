"""Which tests of HTTP also run through a gateway, see make test-queue, and which do not and why.

The keys are files, or tests in them.
"""

from __future__ import annotations

#: Files and tests that are about one process, or about what a queue does otherwise.
LEFT_OUT: dict[str, str] = {}

#: Files and tests with one worker in place of two.
ONE_WORKER: dict[str, str] = {}


def listed(reasons: dict[str, str], node: str) -> bool:
    """Report whether a test is in a list. ``node`` is its id, with the path below ``tests``."""
    file, _, name = node.partition("::")
    return file in reasons or f"{file}::{name.partition('[')[0]}" in reasons or node in reasons
