"""The maps of a photo: which probe is run for which output, so that no more is computed and kept than they need.

How an array becomes a map, and whether it shows anything, is in `maps/map_reading.py`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from PIL import Image

from ..artifact.folder import Artifact
from ..artifact.manifest import Output
from ..maps.feature_grid import refuse_mapless
from ..maps.feature_maps import FeatureMap
from ..maps.map_reading import read_map, read_parts
from ..maps.photo import Photo
from ..maps.reductions import AUTO
from ..runners.base import Runner
from ..runners.memory_need import bytes_of
from .input_files import is_photo
from .photo_input import as_picture, photo_inputs, photo_name
from .preprocessing import seen_photo

__all__ = ["PhotoRun"]

_AT_ONCE_BYTES = 2**30
"""The outputs of a larger model are computed in several runs, of each only the maps are kept."""


@dataclass(frozen=True)
class PhotoRun:
    """One photo through an artifact's probes.

    Its methods raise ArtifactError, ImageError, RunnerUnavailable and ExecutionError, as of the runner and the photo.
    """

    artifact: Artifact
    """Full, averaged or both."""
    photo: Any
    """As of `photo_inputs`."""
    open_runner: Callable[[Artifact, Sequence[str] | None], Runner]
    """Opens a probe for some outputs; for None, whole."""
    size: tuple[int, int] | None = None
    """Height and width of the image, instead of the exported ones."""

    def maps(self, outputs: Sequence[Output], reduce: str = AUTO) -> list[FeatureMap]:
        """Return the map of each output. Means come from the averaged probe where there is one, and what they don't
        show, with `auto`, from the full probe.

        Args:
            outputs: of the artifact's manifest.
            reduce: a row of `REDUCTIONS`, or auto.

        Raises:
            UsageError: no output has a height and a width, or only means are there for another reduction.
        """
        refuse_mapless(outputs)
        means = self.artifact.averaged() if reduce in (AUTO, "mean") else None
        if means is None:
            return list(self._maps(self.artifact, outputs, reduce))
        of_means = {output.name: output for output in means.manifest.outputs}
        averaged = [of_means.get(output.name, output) for output in outputs]
        maps = list(self._maps(means, averaged, "mean", means.reference().largest_noise))
        if reduce != AUTO or self.artifact.is_averaged:
            return maps
        unseen = {each.name for each in maps if each.left_out in ("constant", "rounding")}
        again = [output for output in outputs if output.name in unseen]
        found = {each.name: each for each in self._maps(self.artifact, again, reduce)}
        return [found.get(each.name, each) for each in maps]

    @property
    def has_channels(self) -> bool:
        """Whether there are tensors, and not their means alone."""
        return not self.artifact.is_averaged

    def parts(self, outputs: Sequence[Output], maps: Sequence[FeatureMap]) -> list[list[FeatureMap]]:
        """Return the maps of each output of which its map is one, as of `read_parts`."""
        arrays = self.tensors([output.name for output in outputs])
        return [read_parts(arrays, output, map_) for output, map_ in zip(outputs, maps, strict=True)]

    def tensors(self, names: Sequence[str]) -> Mapping[str, NDArray[Any]]:
        """Return some outputs by name."""
        return self._run(self.artifact, names)

    def seen(self) -> Photo | None:
        """Return the photo for the picture of its maps, with what the model sees of it; None of tensors."""
        if self._picture is None:
            return None
        return seen_photo(self._picture, self.artifact.manifest.image_input(self.size)[1], photo_name(self.photo))

    @cached_property
    def _picture(self) -> Image.Image | None:
        if isinstance(self.photo, str | Path) and is_photo(Path(self.photo)):
            self.artifact.manifest.image_input(self.size)  # a model without images says so, whatever the file is
        return as_picture(self.photo)

    def inputs(self, probe: Artifact | None = None) -> dict[str, NDArray[Any]]:
        """Return what a probe of the artifact, or it itself, is called with, by name."""
        # Of what is run: each manifest is compared with the copy in its own model file.
        manifest, given = (probe or self.artifact).manifest, self._picture or self.photo
        steps = manifest.image_input(self.size)[1] if self._picture or self.size else None
        return photo_inputs(given, manifest.inputs, steps, manifest.model, photo_name(self.photo))

    def _run(self, probe: Artifact, names: Sequence[str] | None) -> Mapping[str, NDArray[Any]]:
        return self.open_runner(probe, names).run(self.inputs(probe))

    def _maps(
        self, probe: Artifact, outputs: Sequence[Output], reduce: str, noise: Mapping[str, float] | None = None
    ) -> Iterator[FeatureMap]:
        parts = _parts(probe, outputs, self.size)
        for part in parts:
            names = [output.name for output in part if output.has_map]
            # When all of it is drawn, opening the whole model is faster than cutting it.
            whole = len(parts) == 1 and len(outputs) >= len(probe.manifest.outputs)
            arrays = self._run(probe, None if whole else names) if names else {}
            for output in part:
                yield read_map(arrays, output, reduce, noise)


def _parts(probe: Artifact, outputs: Sequence[Output], size: tuple[int, int] | None) -> list[list[Output]]:
    """Divide the outputs so that those of one part fit in memory at once."""
    sizes = probe.manifest.sizes(1) | ({"H": size[0], "W": size[1]} if size else {})
    parts: list[list[Output]] = [[]] if outputs else []
    taken = 0
    for output in outputs:
        need = bytes_of(output, sizes)
        if parts[-1] and taken + need > _AT_ONCE_BYTES:
            parts.append([])
            taken = 0
        parts[-1].append(output)
        taken += need
    return parts
