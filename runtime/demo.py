"""Export, draw and verify on the photo that matplotlib ships, with the commands that a user would type."""

import shlex
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from .artifact.folder_replacement import refuse_no_folder

__all__ = ["VARIANTS", "run_demo"]

VARIANTS = {"cnn11": "feature_maps1.jpg", "cnn2": "feature_maps2.jpg", "cnn3": "feature_maps3.jpg"}
"""The built-in models, each with the picture that the demo draws of it."""


def run_demo(folder: Path, run_command: Callable[[Sequence[str]], None], tell: Callable[[str], None]) -> None:
    """Export, draw and verify each variant into `folder`.

    Args:
        folder: created if missing; an earlier demo's files in it are replaced.
        run_command: runs `layerprobe` with the given arguments, and raises its errors.
        tell: prints a line.
    """
    import matplotlib

    photo = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    refuse_no_folder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    for model, picture in VARIANTS.items():
        artifact = str(folder / model)
        for command in (
            ["export", model, "-o", artifact, "--overwrite"],
            ["grid", artifact, str(photo), "-o", str(folder / picture)],
            ["verify", artifact, "--trust", "--json", str(folder / f"{model}.verify.json")],
        ):
            tell(f"\n$ layerprobe {shlex.join(command)}")
            run_command(command)
    made = ", ".join(VARIANTS.values())
    tell(
        f"\nAll verified in {time.perf_counter() - started:.0f} s. In {folder}/: the artifacts {', '.join(VARIANTS)}; "
        f"the feature maps of {photo.name} in {made}; each verification report in MODEL.verify.json."
    )
