"""``make_encodeable``, which models for earlier releases of Cog import."""

from __future__ import annotations

import json
from typing import Any

from cog.errors import OutputError


def make_encodeable(value: Any) -> Any:
    """Return a value as plain JSON values, as the runtime would answer it, except that files become
    null. Raises OutputError for a value that JSON cannot express, and for an open file.
    """
    from cog.internal.runtime.output import FileTable, encode_output

    def no_directory() -> str:
        raise OutputError("an open file cannot be encoded here: return its path")

    return json.loads(encode_output(value, FileTable(no_directory)))


__all__ = ["make_encodeable"]
