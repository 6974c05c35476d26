"""Which runners a command uses, by what was requested and what works here; the others are listed with the reason."""

from collections.abc import Mapping, Sequence

from ..artifact.errors import RunnerUnavailable, first_line
from ..artifact.folder import Artifact
from .base import Runner
from .registry import DEFAULT_RUNNERS, RUNNERS, open_runner, why_unavailable
from .settings import DEFAULT_SETTINGS, Settings

__all__ = ["choose_runners", "none_left", "open_or_leave_out"]


def choose_runners(names: Sequence[str] = ()) -> tuple[list[str], dict[str, str]]:
    """Return the runners to use, in the order of `RUNNERS`, and those left out, each with the reason.

    Args:
        names: runners requested by name, each of which is used or an error; `all` means those that work on this
            machine, and an empty list, those of `DEFAULT_RUNNERS` that do.

    Raises:
        UsageError: there is no runner of that name.
    """
    for name in names:
        if name != "all":
            why_unavailable(name)
    if names and "all" not in names:
        # In fixed order: ONNX Runtime after PyTorch peaks 300 MB higher on a ResNet-152, as PyTorch keeps freed memory.
        return [name for name in RUNNERS if name in names], {}
    reasons = {name: why_unavailable(name) for name in (RUNNERS if names else DEFAULT_RUNNERS)}
    return [name for name, why in reasons.items() if why is None], {name: why for name, why in reasons.items() if why}


def open_or_leave_out(
    artifact: Artifact,
    name: str,
    asked: Sequence[str],
    left_out: dict[str, str],
    settings: Settings = DEFAULT_SETTINGS,
) -> Runner | None:
    """Return the open runner; or None if it can't run this model, with the reason added to `left_out`.

    Raises:
        RunnerUnavailable: it can't, and was requested by name.
    """
    try:
        return open_runner(artifact, name, settings)
    except RunnerUnavailable as error:
        if name in asked:
            raise
        left_out[name] = first_line(error)
        return None


def none_left(left_out: Mapping[str, str]) -> RunnerUnavailable:
    """Return the error for a model that no runner can run, with the reasons."""
    return RunnerUnavailable("No runner can run this model: " + "; ".join(left_out.values()))
