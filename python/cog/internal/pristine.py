"""Copies of the standard modules and the builtins that the runner uses, made before it imports the
model.

A model may replace ``os.rename``, ``json.dumps`` or ``len``, as many test helpers and some
libraries do. Because that must not break the runner, its modules import these names from here::

    from cog.internal.pristine import builtins as __builtins__  # noqa: F401
    from cog.internal.pristine import os, time

This is a trick:

- What it assumes: CPython (3.9 to 3.14) looks a function's builtins up in ``__builtins__`` of its
  module's globals, and a module's functions are plain values that a second namespace can hold.
- If that is false: ``tests/faults/test_models_survive.py`` and ``tests/runner/test_misbehaving.py``
  fail. The runner works as long as no model replaces anything. A function of the standard library
  that calls another one by its global name sees the replacement all the same.
- What it buys: such a model gets its answers, and the next prediction works. It costs no measurable
  time per call, and 60 µs at boot.
- How to switch it off: ``COGGO_WITHOUT=pristine`` (``coggo-server --without pristine``). Then these
  are the modules themselves.
- ``tests/runner/test_pristine.py`` fails for a module of the runner that does not import from here.
"""

from __future__ import annotations

import builtins as builtins
import ctypes as ctypes
import errno as errno
import json as json
import math as math
import os as os
import re as re
import signal as signal
import stat as stat
import struct as struct
import sys
import time as time
from typing import Any

if "pristine" not in os.environ.get("COGGO_WITHOUT", "").split(","):

    def _copy(module: Any) -> Any:
        copy = type(sys)(module.__name__)
        copy.__dict__.update(module.__dict__)
        return copy

    os = _copy(os)
    os.path = _copy(os.path)
    builtins, ctypes, errno, json, math, re, signal, stat, struct, time = map(
        _copy, (builtins, ctypes, errno, json, math, re, signal, stat, struct, time)
    )
