"""``make_encodeable``, which models of earlier releases import."""

from __future__ import annotations

import json
from typing import Any

from cog.errors import OutputError


def make_encodeable(value: Any) -> Any:
    """The value as plain JSON values: what the runtime would answer. Files stay paths. Raises
    OutputError for what has no form in JSON.
    """
    from cog.internal.runtime.output import FileTable, encode_output

    def no_directory() -> str:
        raise OutputError("an open file cannot be encoded here: return its path")

    return json.loads(encode_output(value, FileTable(no_directory)))


__all__ = ["make_encodeable"]
