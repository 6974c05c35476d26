"""The errors that `probe` raises, each with the command line's exit code."""

__all__ = ["CaptureError", "ModelError", "ProbeError", "UnknownOutput", "WeightsError", "first_line"]


def first_line(error: BaseException) -> str:
    """Return what an error says first, in at most 200 characters; other libraries' messages can be pages long."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    if "data-dependent expression" in line:
        # torch.export's own words name its symbols, which the user has never seen: "Eq(u0, 1) (unhinted: ...)".
        return "it depends on the values of tensors which way it goes, or how large a tensor is"
    sentence = line.partition(". ")[0] if len(line) > 200 else line
    return sentence if len(sentence) <= 200 else f"{sentence[:199]}…"


class ProbeError(Exception):
    """Base of what can go wrong between a model and its probe. `exit_code` is what the command line ends with."""

    exit_code = 3


class ModelError(ProbeError):
    """The model can't be found, built, traced, or run on its example input."""


class CaptureError(ModelError):
    """The model runs, but can't be captured as a graph this way; another way of capturing it may do."""

    node: str | None = None
    """The node that failed when the graph was run, if it came that far."""


class WeightsError(ProbeError):
    """The weights can't be read, or belong to another model."""


class UnknownOutput(ProbeError):
    """An output was asked for that the model doesn't have."""

    exit_code = 2
