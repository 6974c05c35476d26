"""The model as it was before it was probed: which of the runtime's fusions happen there, and not in the probe."""

from .artifact import Artifact
from .fusions import Fusion
from .settings import Settings

__all__ = ["prevented_by_probing"]


def prevented_by_probing(artifact: Artifact, name: str, settings: Settings) -> list[Fusion] | None:
    """Return the fusions that probing prevents; None where the runtime doesn't tell."""
    return None
