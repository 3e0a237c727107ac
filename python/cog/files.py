"""Helpers for files that models of earlier releases import."""

from __future__ import annotations

import base64
import mimetypes
import os
from typing import Any

from cog.types import get_filename


def guess_filename(file: Any) -> str:
    """The base name of an open file, ``file`` when it has none."""
    name = getattr(file, "name", "")
    return os.path.basename(name) if isinstance(name, str) and name else "file"


def upload_file(file: Any, output_file_prefix: str = "") -> str:
    """The contents of an open file or path as a data URL. Uploads are the server's work;
    ``output_file_prefix`` is ignored.
    """
    if isinstance(file, os.PathLike):
        with open(file, "rb") as opened:
            return upload_file(opened)
    data = file.read()
    raw = data.encode("utf-8") if isinstance(data, str) else bytes(data)
    kind = mimetypes.guess_type(guess_filename(file))[0] or "application/octet-stream"
    return f"data:{kind};base64,{base64.b64encode(raw).decode('ascii')}"


__all__ = ["get_filename", "guess_filename", "upload_file"]
