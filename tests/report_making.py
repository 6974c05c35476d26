"""Reports made by hand, for the tests of what a report looks like and is compared with."""

from runtime.artifact.manifest import Output
from runtime.verdict.report import OutputComparison, Report, RunnerReport

__all__ = ["make_facts", "make_output", "make_report", "make_runner"]


def make_facts(name: str) -> Output:
    return Output(
        name=name,
        label="Conv2d",
        operation="torch.nn.Conv2d",
        module_path=name,
        source_file="net.py",
        source_line=7,
        shape=("N", 8, 4, 4),
        dtype="float32",
        layout="NCHW",
        alias_of=None,
    )


def make_output(name: str, drift: float | None = 1.0, verdict: str = "pass", **numbers) -> OutputComparison:
    return OutputComparison(name=name, drift=drift, verdict=verdict, **numbers)


def make_runner(name: str, outputs: list[OutputComparison], verdict: str | None = None, **more) -> RunnerReport:
    failed = [output for output in outputs if output.verdict != "pass"]
    values = {
        "verdict": verdict or (failed[0].verdict if failed else "pass"),
        "first_failing": failed[0].name if failed else None,
        "culprit": None,
        "providers": ["CPUExecutionProvider"],
        "misplaced": [],
        "facts": {"threads": 2, "tf32": False},
        "result": next((output for output in outputs if output.name == "fc"), None),
    }
    return RunnerReport(name=name, outputs=outputs, **(values | more))


def make_report(*runners: RunnerReport, names=("conv1", "relu", "fc"), **more) -> Report:
    environment = {"model": "net", "time": "2026-01-02T03:04:05Z", "opset": 20}
    outputs = tuple(make_facts(name) for name in names)
    return Report(headline="What it is.", environment=environment, outputs=outputs, runners=list(runners), **more)
