"""A verification report as JUnit XML, for Jenkins, GitLab and others: a suite per runner, a test case per output.

Valid by the schema of Jenkins (junit-10.xsd), which has no place for a test case's file and line: an output's line of
the source is in the text of its failure.
"""

import re
from collections.abc import Iterable, Mapping
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from ..artifact.manifest import Output
from ..verdict.drift import OutputComparison, passing_drift
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
    if not report.runners:
        suite = SubElement(root, "testsuite", name=_text(model))
        _add_case(suite, model, "verification", failure=(Verdict.MISSING, "Nothing was compared or proven.", ""))
    for suite in root:
        _count(suite, [suite])
    _count(root, root)
    del root.attrib["skipped"]  # the schema allows it in a suite only
    ElementTree.indent(root, " ")
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


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
    values = {**environment, "verdict": runner.verdict, "providers": ", ".join(runner.providers), **runner.facts}
    properties = SubElement(suite, "properties")
    for key, value in values.items():
        SubElement(properties, "property", name=_text(key), value=_text(str(value)))
    for found in runner.outputs:
        _add_output(suite, name, found, facts.get(found.name), passing_drift(runner.name))
    nodes = ", ".join(runner.misplaced)
    if nodes and runner.verdict.fails:
        message = f"{len(runner.misplaced)} compute nodes {Verdict.PLACEMENT.words}"
        _add_case(suite, name, "placement", failure=(Verdict.PLACEMENT, message, nodes))
    else:
        _add_case(suite, name, "placement")
    for found in runner.unprobed.outputs if runner.unprobed else []:
        _add_output(suite, f"{name}.unprobed", found, facts.get(found.name), passing_drift(runner.name))


def _add_output(suite: Element, classname: str, found: OutputComparison, facts: Output | None, passing: float) -> None:
    if not found.failed:
        _add_case(suite, classname, found.name)
        return
    numbers = {name: value for name, value in found.model_dump().items() if isinstance(value, float)}
    lines = [f"{name}: {value:.6g}" for name, value in numbers.items()]
    if facts:
        lines = [f"{facts.label}, {facts.operation}", facts.source or "source unknown", *lines]
    _add_case(suite, classname, found.name, failure=(found.verdict, _what_is_wrong(found, passing), "\n".join(lines)))


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
