"""Helpers for files, which models for earlier releases of Cog import."""

from __future__ import annotations

import base64
import mimetypes
import os
from typing import Any

from cog.types import get_filename


def guess_filename(file: Any) -> str:
    """Return the base name of an open file, or ``file`` if it does not have a name."""
    name = getattr(file, "name", "")
    return os.path.basename(name) if isinstance(name, str) and name else "file"


def upload_file(file: Any, output_file_prefix: str = "") -> str:
    """Return the contents of an open file or of a path as a data URL. Ignores
    ``output_file_prefix``, because the server uploads files. Raises OSError if the file cannot be
    read.
    """
    if isinstance(file, os.PathLike):
        with open(file, "rb") as opened:
            return upload_file(opened)
    data = file.read()
    raw = data.encode("utf-8") if isinstance(data, str) else bytes(data)
    kind = mimetypes.guess_type(guess_filename(file))[0] or "application/octet-stream"
    return f"data:{kind};base64,{base64.b64encode(raw).decode('ascii')}"


__all__ = ["get_filename", "guess_filename", "upload_file"]
