"""The errors of the runtime. The ``code`` of a class names its kind."""

from __future__ import annotations

from collections.abc import Sequence


class CogError(Exception):
    """The base class of errors whose text explains itself, so that it is shown without a
    traceback.
    """

    code = "error"


class ConfigDoesNotExist(CogError):
    """Cog raises it if there is no cog.yaml. Coggo never does, and keeps it for models that catch
    it.
    """


class PredictorNotSet(CogError):
    """Cog raises it if cog.yaml does not name a predictor. Coggo never does, and keeps it for
    models that catch it.
    """


class LoadError(CogError):
    """The model cannot be served as it is written. The text is for its author: every problem, with
    its remedy. ``warnings`` name oddities that would still work. ``stage`` names the step that
    failed: ``import`` or ``signature``.
    """

    code = "load"

    def __init__(
        self, problems: Sequence[str], warnings: Sequence[str] = (), stage: str = "signature"
    ) -> None:
        super().__init__("\n".join(problems))
        self.stage = stage
        self.problems: list[str] = list(problems)
        self.warnings: list[str] = list(warnings)


class InputError(CogError):
    """The input of a request does not match the model. The text names every invalid field."""

    code = "invalid"


class OutputError(CogError):
    """The model returned a value that does not match its annotation, or that JSON cannot
    express.
    """

    code = "output"


class BatchError(CogError):
    """A call for several predictions has failed. Because the exception may be about any of them,
    its text is in the server's log alone.
    """

    code = "batch"


class CancelationException(BaseException):
    """Raised inside ``predict()`` when its prediction is canceled.

    It derives from BaseException, so that ``except Exception`` does not catch it by accident. Code
    that catches it to clean up must raise it again.
    """


class ExperimentalFeatureWarning(FutureWarning):
    """A warning about features that may change; kept for models that filter it."""
