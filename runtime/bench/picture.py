"""A benchmark as a plot: the time of each variant over batch size, and its ratio to the plain model."""

from collections.abc import Sequence
from pathlib import Path

from ..artifact.errors import UsageError
from ..artifact.file_replacement import replace_file
from ..maps.picture_saving import PICTURE_MARK
from .benchmarking import BenchmarkReport, Ratio, Timing, Variant

__all__ = ["VARIANT_COLOURS", "check_picture", "draw_benchmark"]

_SUFFIXES = (".png", ".svg", ".pdf")
VARIANT_COLOURS: dict[Variant, str] = {"plain": "#8a8a8a", "averaged": "#1b7f79", "full": "#c4572e"}
_LINES = ("-", "--", ":", "-.")
"""One per runner, repeated for more than four."""


def check_picture(file: Path) -> None:
    """Refuse a file whose suffix is not a picture's.

    Raises:
        UsageError: it isn't.
    """
    if file.suffix.lower() not in _SUFFIXES:
        raise UsageError(f"{file}: the picture's file name must end in one of {', '.join(_SUFFIXES)}.")


def draw_benchmark(report: BenchmarkReport, file: Path) -> None:
    """Draw the medians into the file, with error bars: times up to the 90th percentile, ratios over their interval.

    Raises:
        UsageError: its suffix is not a picture's, or there is a file that wasn't written by this.
        OutputError: it can't be written.
    """
    check_picture(file)
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator

    figure = Figure(figsize=(9, 4), layout="constrained")
    times, ratios = figure.subplots(1, 2)
    runners = list(dict.fromkeys(timing.runner for timing in report.timings))
    for runner, variant in ((runner, variant) for runner in runners for variant in VARIANT_COLOURS):
        line = {
            "color": VARIANT_COLOURS[variant],
            "linestyle": _LINES[runners.index(runner) % len(_LINES)],
            "marker": "o",
            "label": f"{runner}, {variant}",
        }
        timed = [one for one in report.timings if (one.runner, one.variant) == (runner, variant)]
        if timed:
            slower = [one.p90_ms - one.p50_ms for one in timed]
            times.errorbar(_batches(timed), [one.p50_ms for one in timed], [[0] * len(timed), slower], **line)
        compared = [one for one in report.ratios if (one.runner, one.variant) == (runner, variant)]
        if compared:
            below = [one.ratio - one.interval[0] for one in compared]
            above = [one.interval[1] - one.ratio for one in compared]
            ratios.errorbar(_batches(compared), [one.ratio for one in compared], [below, above], **line)
    all_batches = sorted({timing.batch for timing in report.timings})
    for axes, title, unit in ((times, "median, to the 90th percentile", "ms"), (ratios, "times the plain model", "")):
        axes.set_title(title, fontsize=10)
        axes.set_xscale("log", base=2)
        axes.set_xticks(all_batches, [str(batch) for batch in all_batches])
        axes.set_xlabel("batch size")
        axes.set_ylabel(unit)
        axes.grid(visible=True, alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    times.set_yscale("log")
    # Ticks read 20 and 50, not just 2 × 10¹.
    times.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    times.yaxis.set_major_formatter("{x:g}")
    times.yaxis.set_minor_formatter("")
    ratios.axhline(1, color=VARIANT_COLOURS["plain"], linewidth=1)
    figure.legend(*times.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    figure.suptitle(str(report.environment.get("model", "")), fontsize=11)
    suffix = file.suffix.lower()
    software = {"Software" if suffix == ".png" else "Creator": PICTURE_MARK}
    with replace_file(file, PICTURE_MARK) as stream:
        figure.savefig(stream, format=suffix[1:], dpi=150, metadata=software)


def _batches(entries: Sequence[Timing] | Sequence[Ratio]) -> list[int]:
    return [entry.batch for entry in entries]
