"""A benchmark for a terminal: a table, and a line per ratio to the plain model."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from .benchmarking import BenchmarkReport

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["bench_table", "ratio_lines"]


def bench_table(report: BenchmarkReport) -> "Table":
    """Return a row for each runner, variant and batch."""
    from rich.table import Table

    fetched = any(timing.transfer_ms is not None for timing in report.timings)
    on_gpu = any(timing.gpu_mb is not None for timing in report.timings)
    columns = ["p50 ms", "p90 ms", "p99 ms", "mean ms", "95 % of means", "images/s", "peak MB"]
    columns += ["GPU MB"] * on_gpu + ["transfer ms"] * fetched
    table = Table("", "batch", *columns, box=None, pad_edge=False)
    for timing in report.timings:
        # With too few repeats, a percentile is just the slowest run.
        p90 = timing.p90_ms if timing.repeats >= 10 else None
        p99 = timing.p99_ms if timing.repeats >= 100 else None
        interval = " to ".join(f"{bound:.4g}" for bound in timing.mean_interval_ms) if timing.repeats >= 10 else "-"
        row = [
            *(_number(number) for number in (timing.p50_ms, p90, p99, timing.mean_ms)),
            interval,
            _number(timing.images_per_second),
            "-" if timing.peak_mb is None else f"{timing.peak_mb:.0f}",
            *(["-" if timing.gpu_mb is None else f"{timing.gpu_mb:.0f}"] if on_gpu else []),
            *([_number(timing.transfer_ms)] if fetched else []),
        ]
        table.add_row(timing.name, str(timing.batch), *row)
    return table


def ratio_lines(report: BenchmarkReport) -> Iterator[str]:
    """Yield a line per ratio, with a note where the machine was too noisy for a conclusive one."""
    for ratio in report.ratios:
        subject = "The full probe" if ratio.variant == "full" else "The averaged probe"
        low, high = (f"{bound:.2f}" for bound in ratio.interval)
        line = f"{subject} takes {ratio.ratio:.2f} times the plain model's time ({ratio.runner}, batch {ratio.batch}"
        yield f"{line}; {low} to {high})." + (
            "" if ratio.telling else " The machine was too noisy for a precise ratio: use more --repeats."
        )


def _number(number: float | None) -> str:
    return "-" if number is None else f"{number:.4g}"
