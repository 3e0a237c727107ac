"""Prints for cog from PyPI what ``bulk.py`` of tests/sdk prints for Coggo."""

from __future__ import annotations

import logging
import pathlib
import sys
from typing import Any

sys.path.insert(1, str(pathlib.Path(__file__).resolve().parents[1]))

from sdk import bulk


def evaluate(case: Any) -> dict[str, Any]:
    """The document of one model, or the error of cog."""
    import structlog
    from cog.config import Config

    from cog.command.openapi_schema import remove_title_next_to_ref
    from cog.server.http import create_app

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    sys.path.insert(0, ".")
    sys.path_importer_cache.pop(".", None)
    config = {"predict": case["ref"], **({"train": case["train"]} if case["train"] else {})}
    try:
        app = create_app(cog_config=Config(config), shutdown_event=None, is_build=True)
        if app.state.setup_result is not None:
            return {"refused": "".join(app.state.setup_result.logs)}
        return {"document": remove_title_next_to_ref(app.openapi())}
    except BaseException as error:
        return {"raised": f"{type(error).__name__}: {error}"}


if __name__ == "__main__":
    bulk.evaluate = evaluate
    bulk.main()
