"""The page of `make cluster`, and the rows beside it that it is made of."""

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.page import describe_machine
from proofs.zoo import replace_file

__all__ = ["as_page", "write_page"]

Row = Mapping[str, Any]


def write_page(page: Path, facts: Row, rows: Sequence[Row]) -> None:
    """Write the page, and what it is made of beside it."""
    lines = [json.dumps(facts), *map(json.dumps, rows)]
    replace_file(page.with_suffix(".jsonl"), "".join(f"{line}\n" for line in lines))
    replace_file(page, as_page(facts, rows))


def as_page(facts: Row, rows: Sequence[Row]) -> str:
    """Return the Markdown page."""
    same = sum(not row["differing"] for row in rows)
    size = facts["bytes"]
    lines = [
        "# Scans on a cluster",
        "",
        "What `layerprobe scan --ray` gives on a Ray cluster, and when parts of it are lost. Made by `make cluster`",
        "(`tests/proofs/cluster.py`): three nodes on one machine, a head without CPUs and two of one CPU each; photos",
        "from servers on loopback: S3 (moto) and Google Cloud Storage (gcp-storage-emulator).",
        "",
        f"{describe_machine()}; {time.strftime('%Y-%m-%d')}. The machine was shared with other work, so seconds are",
        "upper bounds. They include the start of the command, of its workers and of their model.",
        "",
        f"**{same} of {len(rows)} scans of {facts['images']} photos, one of them broken, by a ResNet-18 gave the",
        "same Parquet files as the first, to the last bit.**",
        "",
        "| images from | in the middle | s | images a second | same files |",
        "| --- | --- | ---: | ---: | --- |",
        *(_line(row) for row in rows),
        "",
        "## Bytes",
        "",
        f"Of each image, `images/` takes {size['images']:,.0f} bytes (1,000 classes) and `summaries/` "
        f"{size['summaries']:,.0f}, at {facts['shard']} images",
        f"a shard. What a worker sends back beside them for each shard, its partial statistics, takes "
        f"{size['partial'] / 1e6:.1f} MB.",
    ]
    return "\n".join(lines) + "\n"


def _line(row: Row) -> str:
    same = "no" if row["differing"] else "yes"
    return f"| {row['what']} | {row['harm'] or '–'} | {row['seconds']} | {row['rate']} | {same} |"
