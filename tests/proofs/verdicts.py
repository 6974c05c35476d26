"""`make verdicts`: checks at length that verdicts are true: no false alarm on sound models, no fault missed.

    python -m proofs.verdicts artifacts/verdicts.md  # all of it
    python -m proofs.verdicts artifacts/verdicts.md --faults 7  # fewer faults, to try

The sound models are one of each family of torchvision and timm, with fresh weights of seed 0, in every runner that
works here. Beside each verdict are those of two fixed tolerances on the same tensors, against the same truth. The page
is rewritten after each model. It exits with 1 if a sound model fails or can't be judged, or fewer than 98 of 100 faults
are found.
"""

import argparse
import shutil
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from test_zoo_families import PROBED, WHOLE_WAY
from test_zoo_families_timm import LEAST_SIZE, ONE_SIZE

from benchmarks.page import describe_machine
from export import export_artifact
from probe import build_probe, load_model
from proofs.planted_faults import KINDS, Fault, plant
from proofs.zoo_models import TIMM_FAMILIES
from runtime import Artifact, open_artifact, open_runner, verify
from runtime.artifact.errors import first_line
from runtime.verdict.verdict_kinds import Verdict

SOUND_MODELS: dict[str, int | None] = {
    **{f"torchvision:{name}": max(size, 64) for name, size in {**WHOLE_WAY, **PROBED}.items()},
    **{
        f"timm:{name}": None if family in ONE_SIZE else LEAST_SIZE.get(family, 64)
        for family, name in sorted(TIMM_FAMILIES.items())
    },
}
"""Model to its images' height and width (its own, if None): one of each family."""

FAULTY_MODELS = {
    "cnn11": None,
    "cnn2": None,
    "cnn3": None,
    "torchvision:resnet18": 64,
    "torchvision:mobilenet_v3_small": 64,
    "torchvision:googlenet": 64,
    "torchvision:densenet121": 64,
    "torchvision:convnext_tiny": 64,
}
"""Model to its images' height and width."""

TRULY_WRONG = {
    ("timm:csatv2", "openvino", "stages.1.1.attn.avgpool"): (
        "OpenVINO 2026.4 folds a division (here by the 7 x 7 window sizes of an adaptive average pooling) into the "
        "weights of the convolution behind it, whose kernel is 7 x 7 as well, as if each weight were divided and not "
        "each pixel. A file of these two nodes shows it without layerprobe: `tests/runtime/verdict/test_unprobed.py`."
    ),
    ("timm:efficientvim_m1", "openvino", "stages.2.blocks.0.sub"): (
        "OpenVINO 2026.4 gives 0 for x + factor * (depthwise convolution of x - x) where the batch is open and the "
        "maps are 1 x 1. A file of these four nodes shows it: `tests/runtime/verdict/test_unprobed.py`."
    ),
}
"""Model, runner and named operation: why the verdict on this sound model, drift, is true."""

TOLERANCES = {"Polygraphy (1e-5, 1e-5)": (1e-5, 1e-5), "allclose (1e-3, 1e-4)": (1e-3, 1e-4)}
"""Relative and absolute. Polygraphy fails an element that is over both; allclose adds them up."""


@dataclass
class Sound:
    """The verdict on a sound model in one runner."""

    model: str
    runner: str
    outputs: int
    verdict: str
    drift: float
    worst: str
    culprit: str | None = None
    """The output that is blamed, if it fails."""
    alarms: dict[str, int] = field(default_factory=dict)

    @property
    def false_alarm(self) -> bool:
        return Verdict(self.verdict).fails and (self.model, self.runner, self.culprit) not in TRULY_WRONG


@dataclass
class Planted:
    """The verdict on a planted fault."""

    model: str
    fault: Fault
    found: bool
    named: str | None
    cause: str | None
    ruined: float
    """The largest drift that it caused in ONNX Runtime."""
    alarms: dict[str, int]
    """How many outputs each fixed tolerance calls wrong that it doesn't call wrong without the fault."""


def export_model(name: str, size: int | None, folder: Path) -> Artifact:
    """Export a model whose batch norms look trained: fresh ones change nothing, so a fault in them would not either."""
    loaded = load_model(name, input_size=(size, size) if size else ())
    generator = torch.Generator().manual_seed(1)
    for module in loaded.module.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            for tensor, low, high in (
                (module.weight, 0.5, 1.5),
                (module.bias, -0.2, 0.2),
                (module.running_mean, -0.2, 0.2),
                (module.running_var, 0.5, 1.5),
            ):
                tensor.data.copy_(torch.rand(tensor.shape, generator=generator) * (high - low) + low)
    return open_artifact(export_artifact(build_probe(loaded.module, *loaded.example), folder, name=name))


def judge_sound(name: str, size: int | None, folder: Path) -> Iterator[Sound]:
    artifact = export_model(name, size, folder)
    report = verify(artifact, ["all"])
    for runner in report.runners:
        drifts = {output.name: float("inf") if output.drift is None else output.drift for output in runner.outputs}
        worst = max(drifts, key=drifts.__getitem__)
        if runner.culprit and runner.culprit.only_unprobed and runner.first_failing:
            worst = f"{runner.first_failing}, unprobed"
            drifts[worst] = float("inf") if runner.culprit.introduced is None else runner.culprit.introduced
        found = Sound(name, runner.name, len(runner.outputs), runner.verdict, drifts[worst], worst)
        if runner.culprit:
            found.culprit = runner.culprit.output
        if runner.name != "onnx-float64":
            found.alarms = {what: len(names) for what, names in _alarmed(artifact, runner.name).items()}
        yield found


def _alarmed(artifact: Artifact, runner: str) -> dict[str, set[str]]:
    """Return the outputs that each fixed tolerance calls wrong."""
    reference = artifact.reference()
    arrays = open_runner(artifact, runner).run(reference.inputs)
    pairs = {name: (truth.sampled(arrays[name]), truth.sample) for name, truth in reference.truths.items()}
    return {what: {name for name, pair in pairs.items() if _alarms(*pair, what)} for what in TOLERANCES}


def _alarms(result: np.ndarray, truth: np.ndarray, tolerance: str) -> bool:
    """Return whether a fixed tolerance calls this output wrong."""
    relative, absolute = TOLERANCES[tolerance]
    if tolerance.startswith("allclose"):
        return not np.allclose(result, truth, rtol=relative, atol=absolute, equal_nan=True)
    error = np.abs(result - truth)
    with np.errstate(divide="ignore", invalid="ignore"):
        return bool(((error > absolute) & (error / np.abs(truth) > relative)).any())


def judge_faults(count: int, folder: Path) -> Iterator[Planted]:
    """Plant faults, each kind and model in turn, until there are `count` of them."""
    sound = {
        name: export_model(name, size, folder / f"sound{i}").path
        for i, (name, size) in enumerate(FAULTY_MODELS.items())
    }
    before = {name: _alarmed(open_artifact(path), "onnx-cpu") for name, path in sound.items()}
    made = 0
    seed = 0
    while made < count:
        for position, kind in enumerate(KINDS):
            name = list(sound)[(seed + position) % len(sound)]
            shutil.rmtree(folder / "faulty", ignore_errors=True)
            shutil.copytree(sound[name], folder / "faulty")
            fault = plant(folder / "faulty", kind, seed)
            if fault is None or made == count:
                continue
            made += 1
            yield _judge_fault(name, fault, open_artifact(folder / "faulty"), before[name])
        seed += 1


def _judge_fault(name: str, fault: Fault, artifact: Artifact, alarmed_before: dict[str, set[str]]) -> Planted:
    report = verify(artifact, ["onnx-float64", "onnx-cpu"])
    culprits = [runner.culprit for runner in report.runners if runner.culprit]
    # The one that the report's first line names.
    culprit = next(iter(culprits), None)
    onnx_cpu = report.runners[-1]
    drifts = [float("inf") if output.drift is None else output.drift for output in onnx_cpu.outputs]
    found = not report.passed and culprit is not None and culprit.output in fault.expected
    alarms = {what: len(names - alarmed_before[what]) for what, names in _alarmed(artifact, "onnx-cpu").items()}
    return Planted(name, fault, found, culprit and culprit.output, culprit and culprit.cause, max(drifts), alarms)


def as_page(sound: Sequence[Sound], planted: Sequence[Planted], broken: Mapping[str, str]) -> str:
    """Return the Markdown page; `broken` are models that could not be judged, each with the reason."""
    found = sum(each.found for each in planted)
    alarms = sum(each.false_alarm for each in sound)
    wrong = [each for each in sound if Verdict(each.verdict).fails and not each.false_alarm]
    total = sum(each.outputs for each in sound)
    fixed = {what: sum(each.alarms.get(what, 0) for each in sound) for what in TOLERANCES}
    missing = len(SOUND_MODELS) - len({each.model for each in sound})
    lines = [
        "# Are the verdicts true?",
        "",
        f"Made by `make verdicts` on {time.strftime('%Y-%m-%d')}: {describe_machine()}.",
        "",
        f"**False alarms: {alarms}** in {len(sound)} runs of {len({each.model for each in sound})} sound models, "
        f"{total:,} outputs, in {len({each.runner for each in sound})} runners. **{found} of {len(planted)} planted "
        "faults** were found and the operation named."
        + (f" **Alarms of sound models that turned out to be true: {len(wrong)}**, below." if wrong else ""),
        *([f"**{missing} of {len(SOUND_MODELS)} sound models have not been run.**"] if missing else []),
        *(f"- {name} could not be judged: {reason}" for name, reason in broken.items()),
        "",
        "## Sound models",
        "",
        "One model of each family of torchvision's and timm's, random weights, batch norms as if trained. A model",
        "that a runner can't do has no row there.",
        "`onnx-float64` is the ONNX file itself, evaluated in float64. The last columns count what a fixed tolerance",
        "calls wrong, of the same tensors and against the same float64 truth: every one of them is a false alarm,",
        f"{' and '.join(f'{count:,} by {what}' for what, count in fixed.items())}.",
        "",
        f"| model | runner | outputs | verdict | largest drift | at | {' | '.join(TOLERANCES)} |",
        f"| --- | --- | ---: | --- | ---: | --- |{' ---: |' * len(TOLERANCES)}",
        *(
            f"| {each.model} | {each.runner} | {each.outputs} | {each.verdict} | {each.drift:.2g} | {each.worst} | "
            f"{' | '.join(str(each.alarms.get(what, '')) for what in TOLERANCES)} |"
            for each in sound
        ),
        "",
        *(["### Alarms that are true", ""] if wrong else []),
        *(
            f"- {each.model} in {each.runner}, right with every output, wrong as the plain model; named is "
            f"{each.culprit}. {TRULY_WRONG[each.model, each.runner, each.culprit or '']}"
            for each in wrong
        ),
        *([""] if wrong else []),
        "## Planted faults",
        "",
        "Each fault is planted into model.onnx alone; the verdict is that of `layerprobe verify --runner onnx-float64",
        "--runner onnx-cpu`. It is found if the report's first line names the faulty operation, or for a step inside a",
        "module the nearest output behind it. The last columns count the faults that a fixed tolerance sees at all: it",
        "calls an output wrong that it doesn't call wrong without the fault.",
        "",
        f"| kind | planted | found | drift in ONNX Runtime, least to largest | {' | '.join(TOLERANCES)} |",
        f"| --- | ---: | ---: | --- |{' ---: |' * len(TOLERANCES)}",
    ]
    for kind in KINDS:
        these = [each for each in planted if each.fault.kind == kind]
        if these:
            drifts = sorted(each.ruined for each in these)
            seen = " | ".join(str(sum(each.alarms[what] > 0 for each in these)) for what in TOLERANCES)
            lines.append(
                f"| {kind} | {len(these)} | {sum(each.found for each in these)} | "
                f"{drifts[0]:.2g} to {drifts[-1]:.2g} | {seen} |"
            )
    missed = [each for each in planted if not each.found]
    lines += ["", "### Missed" if missed else "None was missed."]
    lines += [
        f"- {each.model}: {each.fault.detail} at {each.fault.node}; named was {each.named or 'nothing'}; "
        f"largest drift in ONNX Runtime {each.ruined:.3g}."
        for each in missed
    ]
    causes = Counter(each.cause for each in planted if each.found)
    lines += ["", f"Blamed for those found: {', '.join(f'{cause} {count}' for cause, count in causes.items())}."]
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path, help="the Markdown file to write")
    parser.add_argument("--faults", type=int, default=100, help="how many faults to plant")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    sound: list[Sound] = []
    broken: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="layerprobe-verdicts-") as temporary:
        folder = Path(temporary)
        planted = []
        for each in judge_faults(arguments.faults, folder):
            print(f"{each.model}: {each.fault.detail}: {'found' if each.found else f'named {each.named}'}", flush=True)
            planted.append(each)
        for name, size in SOUND_MODELS.items():
            try:
                for found in judge_sound(name, size, folder / "sound"):
                    print(f"{found.model} {found.runner}: {found.verdict}, largest drift {found.drift:.2g}", flush=True)
                    sound.append(found)
            except Exception as error:
                broken[name] = first_line(error)
                print(f"{name} could not be judged: {broken[name]}", flush=True)
            shutil.rmtree(folder / "sound", ignore_errors=True)
            arguments.page.write_text(as_page(sound, planted, broken), encoding="utf-8")
    missed = sum(not each.found for each in planted)
    return int(bool(broken) or any(each.false_alarm for each in sound) or missed > 0.02 * len(planted))


if __name__ == "__main__":
    sys.exit(main())
