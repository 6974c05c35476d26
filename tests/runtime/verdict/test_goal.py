"""What the results of a candidate have to reach: how it is written, and what is said of it."""

import math

import pytest

from runtime.artifact.errors import UsageError
from runtime.verdict.goal import Goal, goal_words, parse_goal
from runtime.verdict.report import GoalReport, Reached


@pytest.mark.parametrize(
    ("text", "goal"),
    [("30dB", Goal("dB", 30.0)), ("27.5 db", Goal("dB", 27.5)), ("top1 0.99", Goal("top1", 0.99))],
)
def test_a_goal_is_decibels_or_a_share_of_classes(text: str, goal: Goal):
    assert parse_goal(text) == goal


@pytest.mark.parametrize("text", ["30", "-3 dB", "top1 1.5", "top5 0.9", ""])
def test_anything_else_is_no_goal(text: str):
    with pytest.raises(UsageError, match="Goals are '30 dB'"):
        parse_goal(text)


def test_the_result_that_is_furthest_below_is_named():
    reached = [
        Reached(runner="onnx-float64", result="boxes", value=math.inf),
        Reached(runner="onnx-cpu", result="scores", value=27.25),
    ]
    report = GoalReport(goal="30.0 dB", least=30.0, reached=reached)
    assert not report.passed
    assert goal_words(report) == "The goal of 30.0 dB is not met: scores reaches 27.2 dB in onnx-cpu."
    assert GoalReport(goal="30.0 dB", least=30.0, reached=reached[:1]).passed
    assert not GoalReport(goal="30.0 dB", least=30.0, reached=[]).passed
