"""`make quantized-candidates`: right and faulty files in few bits, each judged against its model; into a page.

    python -m proofs.quantized_candidates artifacts/quantized_candidates.md
    python -m proofs.quantized_candidates artifacts/quantized_candidates.md 'mixed*'  # these again; other rows stay

Right files have to pass, faulty ones to fail at the faulty layer. The rows are kept beside the page
(`quantized_candidates.jsonl`). Beside them is what ONNX Runtime's own `qdq_loss_debug` measures of QDQ files.
"""

import contextlib
import io
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import onnx
import torch
from onnx import numpy_helper

from export import export_artifact
from export.sources import write_candidate_of
from probe import build_probe
from probe.onnx_model.reading import described
from proofs.by_model import ModelProof
from proofs.candidate_makers import Made
from proofs.onnx_loss_debug import worst_of_onnx_runtime
from proofs.quantized_faults import FAULTS, TOLD, Fault, Graph
from proofs.quantized_makers import MAKERS, Mixed, prepared_file
from proofs.quantized_page import Row, as_page
from proofs.verdict_models import sound_model, train_batch_norms
from runtime import LayerprobeError, open_artifact
from runtime.verdict.drift import FILE_RUNNER
from runtime.verdict.report import Report
from runtime.verdict.verification import verify

__all__ = ["PROOF"]

MODELS = (
    "mixed",
    "torchvision:resnet18",
    "torchvision:squeezenet1_1",
    "torchvision:shufflenet_v2_x0_5",
    "trained:MobileNetV2_bottle",
)
FAULTY_MODELS = ("mixed", "torchvision:resnet18", "torchvision:squeezenet1_1")


class _Work:
    """One model with its artifact and files."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.made = Made(*_model(name), folder)
        probe = build_probe(self.made.module, self.made.image)
        self._artifact = open_artifact(export_artifact(probe, folder / "artifact", name=name))
        self._known: dict[str, tuple[Path, Report]] = {}

    def file(self, maker: str) -> Path:
        file = self.made.folder / f"{list(MAKERS).index(maker)}.onnx"
        if not file.exists():
            with contextlib.redirect_stdout(io.StringIO()):
                MAKERS[maker](self.made, file)
        return file

    def judged(self, file: Path) -> Report:
        # Of the file itself: kernels of 8-bit integers saturate on some processors.
        with tempfile.TemporaryDirectory() as folder:
            right_values = write_candidate_of(file, self._artifact, Path(folder) / "judged", lambda phase: None)
            return verify(open_artifact(Path(folder) / "judged"), [FILE_RUNNER], right_values=right_values)

    def known(self, maker: str) -> tuple[Path, Report]:
        """Return a right file and its report."""
        if maker not in self._known:
            self._known[maker] = self.file(maker), self.judged(self.file(maker))
        return self._known[maker]


def _model(name: str) -> tuple[torch.nn.Module, torch.Tensor]:
    if name != "mixed":
        module, example = sound_model(name)
        return module, example[0]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = Mixed().eval()
    train_batch_norms(module)
    return module, torch.zeros(1, 3, 32, 32)


def rows_of_right(work: _Work) -> Iterator[Row]:
    for maker in MAKERS:
        try:
            _, report = work.known(maker)
        except LayerprobeError as error:
            yield Row("right", work.name, maker, "refused", str(error).splitlines()[0])
        except Exception as error:
            yield Row("right", work.name, maker, "not made", (str(error).strip().splitlines() or [""])[-1][:120])
        else:
            yield Row("right", work.name, maker, *_numbers(report))


def rows_of_faults(work: _Work) -> Iterator[Row]:
    floats = onnx.load(prepared_file(work.made)).graph.initializer
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in floats}
    for section, table in (("faulty", FAULTS), ("told", TOLD)):
        for kind, (maker, plant) in table.items():
            try:
                right, report = work.known(maker)
            except Exception:  # which the right files' rows tell
                continue
            count = len(list(plant(Graph(onnx.load(right), weights))))
            for number in sorted({count // 4, 3 * count // 4}) if count else ():
                graph = Graph(onnx.load(right), weights)
                fault = list(plant(graph))[number]()
                file = work.made.folder / "faulty.onnx"
                onnx.save(graph.model, file)
                yield _judge(section, work, kind, maker, file, fault, _layers(fault, Graph(onnx.load(right)), report))


def _judge(section: str, work: _Work, kind: str, maker: str, file: Path, fault: Fault, layers: set[str]) -> Row:
    place = f"{', '.join(sorted(layers))}: {fault.detail}"
    peer = None
    if fault.tensors and maker.startswith("QDQ"):
        peer = worst_of_onnx_runtime(prepared_file(work.made), file, work.made, fault.tensors)
    try:
        report = work.judged(file)
    except LayerprobeError as error:
        return Row(section, work.name, kind, "refused", str(error).splitlines()[0], place=place, peer=peer)
    culprit, fused = report.runners[0].culprit, report.candidate.fused if report.candidate else {}
    told = set(report.runners[0].other_kinds)
    names = told if section == "told" else {culprit.output} if culprit else set()
    names |= {name for name, into in fused.items() if section == "faulty" and into in names}
    return Row(section, work.name, kind, *_numbers(report), place=place, named=not names.isdisjoint(layers), peer=peer)


def _numbers(report: Report) -> tuple[str, str, float | None, float | None]:
    outputs = report.runners[0].outputs
    return (
        "pass" if report.passed else "fail",
        report.headline,
        min((each.sqnr_db for each in outputs if each.sqnr_db is not None), default=None),
        max((each.drift for each in outputs if each.drift is not None), default=None),
    )


def _layers(fault: Fault, graph: Graph, report: Report) -> set[str]:
    """Return the outputs nearest to a fault: what it is computed by, and of an activation also what reads it."""
    known = {described(node): node.output[0] for node in graph.model.graph.node}
    layers = {}
    for output in report.outputs:
        by = output.computed_by or ""
        # A DequantizeLinear that was added to see what is behind an operator of whole steps.
        layers[known.get(by) or by.split("'")[1].removesuffix("_real")] = output.name
    found: set[str] = set()

    def users(name: str) -> list[str]:
        return [each for node in graph.users(name) for each in node.output]

    def makers(name: str) -> list[str]:
        return list(graph.producers[name].input) if name in graph.producers else []

    for value in fault.values:
        found |= _nearest([value], makers, layers) | _nearest([value], users, layers)
        if fault.of_activation:
            found |= _nearest(users(value), users, layers)
    return found


def _nearest(start: Sequence[str], step: Callable[[str], Sequence[str]], layers: Mapping[str, str]) -> set[str]:
    waiting, seen, found = list(start), set(start), set[str]()
    for name in waiting:
        if name in layers:
            found.add(layers[name])
            continue
        new = [each for each in step(name) if each not in seen]
        seen.update(new)
        waiting += new
    return found


def rows_of(name: str, folder: Path) -> Iterator[Row]:
    """Yield the rows of a model's right files, and of its faulty ones where these are planted."""
    work = _Work(name, folder)
    yield from rows_of_right(work)
    if name in FAULTY_MODELS:
        yield from rows_of_faults(work)


PROOF = ModelProof(
    "make quantized-candidates",
    MODELS,
    Row,
    rows_of,
    place=lambda row: MODELS.index(row.model),
    said=lambda row: f"{row.kind}: {row.place}: {row.outcome} {row.words[:100]}",
    as_page=as_page,
    is_good=lambda row: row.good or row.outcome == "not made",
)


if __name__ == "__main__":
    PROOF.main()
