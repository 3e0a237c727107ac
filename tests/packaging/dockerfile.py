"""The Dockerfile of the example, by its instructions."""

from __future__ import annotations

import re

from packages import ROOT

DOCKERFILE = ROOT / "deploy/docker/Dockerfile"
TEXT = DOCKERFILE.read_text()

#: Instructions with their continued lines joined and without comments.
LINES = re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", TEXT, flags=re.MULTILINE)).strip().splitlines()
STAGES = [
    list(filter(None, part.splitlines()))
    for part in re.split(r"^(?=FROM )", "\n".join(LINES), flags=re.MULTILINE)
    if part
]


def instruction(name: str, stage: int = -1) -> str:
    """The arguments of the only instruction with this name in a stage."""
    [found] = [line.partition(" ")[2] for line in STAGES[stage] if line.startswith(name + " ")]
    return found
