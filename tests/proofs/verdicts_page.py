"""The page of `make verdicts`, made of its rows."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from benchmarks.page import describe_machine
from proofs.peers import PEERS
from proofs.planted_faults import KINDS
from proofs.zoo import SOUND

__all__ = ["TRULY_WRONG", "as_page", "failures"]

Row = dict[str, Any]

TRULY_WRONG: Mapping[tuple[str, str, str], str] = {
    ("timm:csatv2", "openvino", "stages.1.1.attn.avgpool"): (
        "Right with every output, wrong as the plain model. "
        "OpenVINO 2026.4 folds a division (here by the 7 x 7 window sizes of an adaptive average pooling) into the "
        "weights of the convolution behind it, whose kernel is 7 x 7 as well, as if each weight were divided and not "
        "each pixel. A file of these two nodes shows it without layerprobe: `tests/runtime/verdict/test_unprobed.py`."
    ),
    ("timm:efficientvim_m1", "openvino", "stages.2.blocks.0.sub"): (
        "Right with every output, wrong as the plain model. "
        "OpenVINO 2026.4 gives 0 for x + factor * (depthwise convolution of x - x) where the batch is open and the "
        "maps are 1 x 1. A file of these four nodes shows it: `tests/runtime/verdict/test_unprobed.py`."
    ),
    ("timm:rdnet_tiny", "onnx-reference", "dense_stages.4.0.layer_norm"): (
        "onnx's reference evaluator adds up the squares of 680 channels one after another in float32, since they lie "
        "apart behind a permute: the variance is off by more than a hundred roundings, and by 1.7 where they lie side "
        "by side. A model with such a norm shows it: `tests/runtime/verdict/test_unprobed.py`."
    ),
}
"""Model, runner and named operation: why the verdict on this sound model, drift, is true."""

ALLOWED_MISSES = 0.01
"""Of the faults."""


def is_false_alarm(row: Row) -> bool:
    return row.get("verdict") not in (None, *SOUND, "not run") and _key(row) not in TRULY_WRONG


def _key(row: Row) -> tuple[str, str, str]:
    return row["model"], row["runner"], row["culprit"] or ""


def failures(rows: Iterable[Row]) -> list[Row]:
    """Return what makes the proof fail: errors, false alarms, and missed faults if they are too many."""
    rows = list(rows)
    faults = [row for row in rows if row["section"] == "fault" and "error" not in row]
    missed = [row for row in faults if not row["right"]]
    failed = [row for row in rows if "error" in row or is_false_alarm(row)]
    return failed + (missed if len(missed) > ALLOWED_MISSES * len(faults) else [])


def as_page(rows: Sequence[Row], missing: int) -> str:
    """Return the Markdown page; `missing` jobs have no row yet."""
    by_section = {name: [row for row in rows if row["section"] == name] for name in ("fault", "hostile", "sound")}
    dates = sorted({row["date"] for row in rows})
    lines = [
        "# Are the verdicts true?",
        "",
        f"Made by `make verdicts` on {' to '.join(dict.fromkeys((dates[0], dates[-1])))}: {describe_machine()}.",
        "",
        *_summary(by_section),
        *([f"**{missing} jobs have not been run.**"] if missing else []),
        *(f"- {row['job']} could not be judged: {row['error']}" for row in rows if "error" in row),
        "",
        *_faults([row for row in by_section["fault"] if "error" not in row]),
        *_hostile([row for row in by_section["hostile"] if "error" not in row]),
        *_sound([row for row in by_section["sound"] if "error" not in row]),
    ]
    return "\n".join(lines) + "\n"


def _summary(by_section: Mapping[str, Sequence[Row]]) -> Iterator[str]:
    faults = [row for row in by_section["fault"] if "error" not in row]
    named = sum(row["right"] for row in faults)
    yield f"**{named} of {len(faults)} planted faults** were found and the operation named."
    for section, what in (("hostile", "networks of hostile scales"), ("sound", "sound models")):
        ran = [row for row in by_section[section] if "error" not in row and row["verdict"] != "not run"]
        yield (
            f"**False alarms: {sum(map(is_false_alarm, ran))}** in {len(ran)} runs of "
            f"{len({row['model'] for row in ran})} {what}, {sum(row['outputs'] for row in ran):,} outputs, in "
            f"{len({row['runner'] for row in ran})} runners."
        )
    wrong = [row for row in by_section["sound"] if "error" not in row and _key(row) in TRULY_WRONG]
    if wrong:
        yield f"**Alarms of sound models that turned out to be true: {len(wrong)}**, below."


def _faults(rows: Sequence[Row]) -> Iterator[str]:
    yield from (
        "## Planted faults",
        "",
        "Each fault is planted into model.onnx alone, and changes what the file computes in float64 for some input.",
        "The verdict is that of `layerprobe verify --runner onnx-float64 --runner onnx-cpu`. It is found if that",
        "fails, and named if the report's first line names the faulty operation, or for a step inside a module the",
        "nearest output behind it. The second table is by what is needed to see the fault at all.",
        "",
        "The last columns are of others, who are given ONNX Runtime's tensors for the recorded input, each under its",
        "name: how many faults each sees (it calls an output wrong that it doesn't call wrong without the fault), and",
        "in how many the first such output is the right one. `torch.onnx` is torch.onnx.verification, which takes its",
        "own export only: its comparison is used here, and the differences of which it warns.",
        "",
        *_table(
            [
                "kind",
                "planted",
                "found",
                "named",
                "drift in ONNX Runtime",
                *(f"{peer}: found / named" for peer in PEERS),
            ],
            [_fault_cells(kind, [row for row in rows if row["kind"] == kind]) for kind in KINDS],
        ),
        "",
        *_table(
            ["shown by", "planted", "found", "named", "", *(f"{peer}: found / named" for peer in PEERS)],
            [_fault_cells(what, [row for row in rows if row["shown_by"] == what]) for what in _shown(rows)],
        ),
        "",
    )
    missed = [row for row in rows if not row["right"]]
    yield "### Missed" if missed else "None was missed."
    yield ""
    yield from (
        f"- {row['model']}, {row['kind']}: {row['detail']} at {row['operator']} {row['node']}. {_why(row)}"
        for row in missed
    )
    causes = Counter(row["cause"] for row in rows if row["right"])
    blamed = ", ".join(f"{cause} {count}" for cause, count in causes.items())
    yield from (
        "",
        f"Blamed for those named: {blamed}. A file is `refused` if an output's shape can't be what the manifest says.",
        "",
    )


def _shown(rows: Sequence[Row]) -> list[str]:
    counted = Counter(row["shown_by"] for row in rows)
    return [what for what, _ in counted.most_common()]


def _fault_cells(name: str, rows: Sequence[Row]) -> list[str]:
    if not rows:
        return []
    drifts = sorted(row["drift"] for row in rows if row["drift"] is not None)
    others = [
        f"{sum(row['peers'][peer][0] for row in rows)} / {sum(row['peers'][peer][1] for row in rows)}" for peer in PEERS
    ]
    found, right = (str(sum(row[key] for row in rows)) for key in ("found", "right"))
    return [name, str(len(rows)), found, right, f"{drifts[0]:.2g} to {drifts[-1]:.2g}" if drifts else "", *others]


def _why(row: Row) -> str:
    named = f"Named was {row['named']}." if row["named"] else "Nothing was called wrong."
    if row["shown_by"] != "the recorded input":
        return f"{named} Only other inputs show it: {row['shown_by']}."
    return f"{named} The largest drift in ONNX Runtime was {_number(row['drift'])}."


def _hostile(rows: Sequence[Row]) -> Iterator[str]:
    ran = [row for row in rows if row["verdict"] != "not run"]
    refused = [row for row in rows if row["runner"] == "export"]
    yield from (
        "## Hostile networks",
        "",
        "Small networks that Hypothesis draws (`tests/proofs/hostile_networks.py`): massive and dead channels, tiny",
        "scores, cancellation, saturation, denormal weights, half precision. All are right: no alarm is expected.",
        f"The export itself refused {len(refused)} more, for the reasons below.",
        "",
        *_table(
            ["runner", "networks", "outputs", "alarms", "largest error that an operation introduced"],
            [_hostile_cells(name, [row for row in ran if row["runner"] == name]) for name in _runners(ran)],
        ),
        "",
        *(f"- {row['model']} in {row['runner']}: {row['headline']}" for row in ran if row["verdict"] not in SOUND),
        *(f"- {row['model']} did not get through {row['runner']}: {row['reason']}" for row in rows if row not in ran),
        "",
    )


def _hostile_cells(name: str, rows: Sequence[Row]) -> list[str]:
    alarms = sum(row["verdict"] not in SOUND for row in rows)
    largest = max(row["introduced"] for row in rows)
    return [name, str(len(rows)), f"{sum(row['outputs'] for row in rows):,}", str(alarms), f"{largest:.2g}"]


def _sound(rows: Sequence[Row]) -> Iterator[str]:
    fixed = {peer: sum(row.get("peers", {}).get(peer, 0) for row in rows) for peer in PEERS}
    wrong = [row for row in rows if _key(row) in TRULY_WRONG]
    yield from (
        "## Sound models",
        "",
        "Four trained CNNs, the small ones of the faults, and one model of each family of torchvision's and timm's,",
        "with random weights and batch norms as if trained. A model that a runner can't do has no row there.",
        "`onnx-float64` is the ONNX file itself, evaluated in float64. The last columns count what others call wrong,",
        "of the same tensors and against the same float64 truth: every one of them is a false alarm,",
        f"{' and '.join(f'{count:,} by {what}' for what, count in fixed.items())}.",
        "",
        *_table(["model", "runner", "outputs", "verdict", "largest drift", "at", *PEERS], map(_sound_cells, rows)),
        "",
        *(["### Alarms that are true", ""] if wrong else []),
        *(f"- {row['model']} in {row['runner']}; named is {row['culprit']}. {TRULY_WRONG[_key(row)]}" for row in wrong),
    )


def _sound_cells(row: Row) -> list[str]:
    counts = [str(row.get("peers", {}).get(peer, "")) for peer in PEERS]
    return [row["model"], row["runner"], str(row["outputs"]), row["verdict"], _number(row["drift"]), row["at"], *counts]


def _runners(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(row["runner"] for row in rows))


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.2g}"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [heads, ["---"] * len(heads), *filter(None, rows)]
    return [f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines]
