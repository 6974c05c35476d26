"""A verification report as JUnit XML, for Jenkins, GitLab and others: a suite per runner, a test case per output.

One fault is one failure: what only inherits an error is skipped, with a message that names where it comes from, and so
is what can't be proven. Readers show skipped cases apart, with their messages; of a case that passed they show none.
Valid by the schema of Jenkins (junit-10.xsd), which has no place for a test case's file and line: an output's line of
the source is in the text of its failure.
"""

import re
from collections.abc import Iterable, Mapping
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from ..artifact.manifest import Output
from ..verdict.drift import OutputComparison, passing_drift
from ..verdict.goal import goal_words
from ..verdict.headline import first_names, undefined_words
from ..verdict.report import Report, RunnerReport
from ..verdict.verdict_kinds import Verdict

__all__ = ["junit_xml"]

_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 can't hold, not even escaped."""
_COUNTED = ("failure", "skipped")


def junit_xml(report: Report, maps: object = None) -> str:  # noqa: ARG001 - no pictures in JUnit
    """Return the report as one XML document; it has a failure exactly where the report doesn't pass."""
    model = str(report.environment.get("model", "model"))
    facts = {output.name: output for output in report.outputs}
    root = Element("testsuites", name=_text(model))
    for runner in report.runners:
        _add_runner(root, f"{model}.{runner.name}", runner, report.environment, facts)
    for name, why in report.unopened.items():
        suite = SubElement(root, "testsuite", name=_text(f"{model}.{name}"))
        _add_case(suite, f"{model}.{name}", "runner", failure=("unopened", why.reason, ""))
    for name, reason in report.left_out.items():
        suite = SubElement(root, "testsuite", name=_text(f"{model}.{name}"))
        _add_case(suite, f"{model}.{name}", "runner", skipped=reason)
    if report.goal:
        suite = SubElement(root, "testsuite", name=_text(f"{model}.goal"))
        missed = None if report.goal.passed else ("goal", goal_words(report.goal), "")
        _add_case(suite, f"{model}.goal", report.goal.goal, failure=missed)
    if report.undefined:
        suite = SubElement(root, "testsuite", name=_text(f"{model}.results"))
        for name in report.undefined:
            _add_case(suite, f"{model}.results", name, failure=("undefined", undefined_words([name]), ""))
    if not report.runners:
        suite = SubElement(root, "testsuite", name=_text(model))
        _add_case(suite, model, "verification", failure=(Verdict.MISSING, "Nothing was compared or proven.", ""))
    for suite in root:
        _count(suite, [suite])
    _count(root, root)
    del root.attrib["skipped"]  # the schema allows it in a suite only
    ElementTree.indent(root, " ")
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<!-- layerprobe verify -->\n'
        + ElementTree.tostring(root, encoding="unicode")
        + "\n"
    )


def _add_runner(
    root: Element,
    name: str,
    runner: RunnerReport,
    environment: Mapping[str, str | int],
    facts: Mapping[str, Output],
) -> None:
    suite = SubElement(root, "testsuite", name=_text(name))
    if "time" in environment:
        suite.set("timestamp", _text(str(environment["time"])).removesuffix("Z"))
    culprit = {"culprit": runner.culprit.output} if runner.culprit else {}
    providers = ", ".join(runner.providers)
    values = {**environment, "verdict": runner.verdict, **culprit, "providers": providers, **runner.facts}
    properties = SubElement(suite, "properties")
    for key, value in values.items():
        SubElement(properties, "property", name=_text(key), value=_text(str(value)))
    if runner.error:
        _add_case(suite, name, "runner", failure=(runner.verdict, f"can't run the model: {runner.error}", ""))
    for found in sorted(runner.outputs, key=lambda output: not runner.is_culprit(output.name)):
        skipped = _why_skipped(runner, found)
        failure = _failure(runner, found, facts.get(found.name)) if found.failed else None
        _add_case(suite, name, found.name, failure=None if skipped else failure, skipped=skipped)
    for absent in runner.given.absent if runner.given else []:
        _add_case(suite, name, absent, skipped="is not in the file")
    nodes = ", ".join(runner.misplaced)
    misplaced = None
    if nodes and runner.verdict.fails:
        misplaced = (Verdict.PLACEMENT, f"{len(runner.misplaced)} compute nodes {Verdict.PLACEMENT.words}", nodes)
    _add_case(suite, name, "placement", failure=misplaced)
    for found in runner.unprobed.outputs if runner.unprobed else []:
        skipped = _why_skipped_unprobed(runner, found)
        failure = _failure(runner, found, facts.get(found.name)) if found.failed else None
        _add_case(suite, f"{name}.unprobed", found.name, failure=None if skipped else failure, skipped=skipped)


def _why_skipped(runner: RunnerReport, found: OutputComparison) -> str | None:
    """Return why an output neither passes nor is a failure of its own; None if it is one of these."""
    if runner.error:
        return "the runner can't run the model"
    if found.verdict is Verdict.INHERITED:
        return f"inherits its error from {first_names(runner.inherited_from(found.name))}"
    return found.verdict.words if found.verdict is Verdict.UNPROVEN else None


def _why_skipped_unprobed(runner: RunnerReport, found: OutputComparison) -> str | None:
    probed = next((output for output in runner.outputs if output.name == found.name), None)
    if found.failed and probed and (probed.failed or probed.verdict is Verdict.INHERITED):
        return "is wrong with every output as well"
    if found.failed and runner.first_failing != found.name and not any(output.failed for output in runner.outputs):
        return f"fails as {runner.first_failing} does"
    return found.verdict.words if found.verdict is Verdict.UNPROVEN else None


def _failure(runner: RunnerReport, found: OutputComparison, facts: Output | None) -> tuple[str, str, str]:
    """Return type, message and text."""
    numbers = {name: value for name, value in found.model_dump().items() if isinstance(value, float)}
    lines = [f"{name}: {value:.6g}" for name, value in numbers.items()]
    if facts:
        lines = [f"{facts.label}, {facts.operation}", facts.source or "source unknown", *lines]
    message, culprit = _what_is_wrong(found, passing_drift(runner.name)), runner.culprit
    if culprit and culprit.only_unprobed:
        message = f"wrong where {culprit.output} isn't requested: {message}"
    elif culprit and culprit.output == found.name:
        message = f"culprit: {message}"
        lines += [f"cause: {culprit.cause}", *culprit.differences]
    return found.verdict, message, "\n".join(lines)


def _what_is_wrong(found: OutputComparison, passing: float) -> str:
    if found.drift is None:
        return f"{found.name} {found.verdict.words}"
    message = f"drift {found.drift:.4g} times float32's own error, up to {passing:g} passes"
    if found.introduced is None or found.inherited is None:
        return message
    return (
        f"{message}; introduced here {found.introduced:.4g} times what its arithmetic may lose, "
        f"inherited {found.inherited:.4g} times float32's own error"
    )


def _add_case(
    suite: Element,
    classname: str,
    name: str,
    *,
    failure: tuple[str, str, str] | None = None,
    skipped: str | None = None,
) -> None:
    """Add a test case; `failure` is its type, message and text."""
    case = SubElement(suite, "testcase", classname=_text(classname), name=_text(name))
    if failure:
        kind, message, text = failure
        SubElement(case, "failure", type=_text(kind), message=_text(message)).text = _text(text)
    if skipped is not None:
        SubElement(case, "skipped", message=_text(skipped)).text = _text(skipped)


def _count(element: Element, suites: Iterable[Element]) -> None:
    cases = [case for suite in suites for case in suite.iter("testcase")]
    failures, skipped = (sum(case.find(kind) is not None for case in cases) for kind in _COUNTED)
    for name, count in (("tests", len(cases)), ("failures", failures), ("errors", 0), ("skipped", skipped)):
        element.set(name, str(count))


def _text(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", text)
