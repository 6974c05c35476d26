"""The ways to a class activation map without a gradient: a table. Each weighs a layer's channels for a class.

A row's function is imported when it is used: the command line lists this table in its help.
"""

from dataclasses import dataclass

__all__ = ["AUTO", "AUTO_ORDER", "METHODS", "Method"]


@dataclass(frozen=True)
class Method:
    """One way."""

    words: str
    """What a map is, for the footer."""
    weigh: str | None = None
    """Where the function is, as `module:name`, from the run, a layer, classes and the channels that are tried to what
    each channel counts for each class; None where a map needs no class."""
    positive: bool = True
    """Whether what speaks against the class is left out of the map (the papers' ReLU)."""
    tries: int | None = None
    """How many channels are tried one by one, the strongest, unless a number is given; None for all."""
    one_by_one: bool = True
    """Whether channels are tried one by one."""


METHODS = {
    "exact": Method(
        "the layer's channels, summed with the class's own weights in the linear layer behind their average, so that "
        "the map's mean is the class's score but for the bias (Zhou et al., 2016)",
        "runtime.cam.exact:exact_weights",
        positive=False,
        one_by_one=False,
    ),
    "ablation": Method(
        "a channel counts what the class's score, before a softmax, loses where that channel is 0 (Desai and "
        "Ramaswamy, 2020)",
        "runtime.cam.ablation:ablation_weights",
    ),
    "score": Method(
        "a channel counts the class's probability for the photo that is masked by that channel (Wang et al., 2020)",
        "runtime.cam.masked_images:masked_image_weights",
        tries=512,
    ),
    "eigen": Method(
        "what the layer responds to most, whatever the class: the first principal component of its channels (Muhammad "
        "and Yeasin, 2020)"
    ),
}
"""By name."""

AUTO = "auto"
AUTO_ORDER = ("exact", "ablation", "score")
"""What `auto` tries in turn until one can be computed."""
