"""The errors of the runtime. A class says in ``code`` what kind of refusal it is."""

from __future__ import annotations

from collections.abc import Sequence


class CogError(Exception):
    """Base of the errors whose text is meant for the reader as it stands."""

    code = "error"


class ConfigDoesNotExist(CogError):
    """There is no cog.yaml. Cog raises it; here it is kept for models that catch it."""


class PredictorNotSet(CogError):
    """cog.yaml names no predictor. Cog raises it; here it is kept for models that catch it."""


class LoadError(CogError):
    """The model can't be served as it is written. The text is for its author: every problem with
    its remedy. ``warnings`` name what is odd as well, but would work. ``stage`` is what failed:
    ``import``, or ``signature``.
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
    """The input of a request does not fit the model. The text names every bad field."""

    code = "invalid"


class OutputError(CogError):
    """The model returned something that is not what it declares, or has no form in JSON."""

    code = "output"


class BatchError(CogError):
    """A call for several predictions has failed. What it says may be of any of them, so it is in
    the server's log alone.
    """

    code = "batch"


class CancelationException(BaseException):
    """Raised inside ``predict()`` when its prediction is canceled.

    It is not an Exception, so that ``except Exception`` does not swallow it by accident. Code that
    catches it to clean up must raise it again.
    """


class ExperimentalFeatureWarning(FutureWarning):
    """Warned of features that may change; kept for models that filter it."""
