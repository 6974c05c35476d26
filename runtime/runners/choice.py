"""Which runners a command takes, by what was asked for and what works here; the others are told, with the reason."""

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
        names: runners asked for by name, each of which is then used or an error; `all` means those that work on this
            machine, and none, those of `DEFAULT_RUNNERS` that do.

    Raises:
        UsageError: there is no runner of that name.
    """
    for name in names:
        if name != "all":
            why_unavailable(name)
    if names and "all" not in names:
        # In one order: ONNX Runtime after PyTorch peaks 300 MB higher on a ResNet-152, as PyTorch keeps what it freed.
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
    """Return the runner, opened; or None where it can't run this very model, after noting the reason in `left_out`.

    Raises:
        RunnerUnavailable: it can't, and was asked for by name.
    """
    try:
        return open_runner(artifact, name, settings)
    except RunnerUnavailable as error:
        if name in asked:
            raise
        left_out[name] = first_line(error)
        return None


def none_left(left_out: Mapping[str, str]) -> RunnerUnavailable:
    """Return the error that tells why no runner at all can run the model."""
    return RunnerUnavailable("No runner can run this: " + "; ".join(left_out.values()))
