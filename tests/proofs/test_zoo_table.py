"""The zoo's table: failures are shown, rows are kept from run to run, and none is lost by accident."""

import json

import pytest

from proofs import zoo
from proofs.zoo_models import weights_count, zoo_models

PASSING = {"verdict": "pass", "first": None, "failed": 0, "drift": 1.25, "worst": "conv1"}


def row_of(name, **changes):
    row = {
        "model": name,
        "outputs": 3,
        "capture": "trace",
        "faithful": True,
        "date": "2026-01-02",
        "made_with": "torch",
    }
    return row | dict.fromkeys(zoo.RUNNERS, PASSING) | changes


@pytest.fixture
def taken(monkeypatch):
    """Replace taking a model the whole way by a row, and return the list of models that were taken."""
    names = []

    def take(name):
        names.append(name)
        return row_of(name)

    monkeypatch.setattr(zoo, "run_apart", take)
    return names


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, "pass"),
        ({"error": "export: ExportError: a | b"}, "export: ExportError: a / b"),
        ({"faithful": False}, "the probe's results differ from the model's"),
        (
            {"onnx-cpu": {"verdict": "nonfinite", "first": "bn1", "failed": 2, "drift": None, "worst": "bn1"}},
            "onnx-cpu: nonfinite, 2 outputs, bn1 first",
        ),
    ],
)
def test_the_table_tells_what_came_of_a_model(changes, told):
    row = row_of("torchvision:resnet18", **changes)
    page = zoo.as_table([row, row_of("torchvision:vgg11")])
    assert zoo.passed(row) == (told == "pass")
    assert f"| {told} |" in page
    assert f"**{2 if told == 'pass' else 1} of 2 models pass" in page
    assert f"**{len(zoo_models()) - 2} models of the zoo have not been run.**" in page
    widths = {line.count("|") for line in page.splitlines() if line.startswith("|")}
    assert len(widths) == 1


def test_a_model_that_does_not_come_through_is_a_row(tmp_path, monkeypatch):
    row = zoo.run_apart("torchvision:no_such_model")
    assert row["error"].startswith("load: ModelError: torchvision has no model 'no_such_model'")
    monkeypatch.setattr(zoo, "LIMIT_S", 0.01)
    assert zoo.run_apart("torchvision:resnet18")["error"] == "not done after 0.01 s"


def test_small_models_come_first_and_patterns_leave_the_other_rows(tmp_path, taken):
    table = tmp_path / "zoo.md"
    assert zoo.run_zoo(table, ["torchvision:resnet*"], resume=False) == 0
    assert taken == sorted(taken, key=weights_count)
    assert taken[0] == "torchvision:resnet18"
    first = len(taken)
    assert zoo.run_zoo(table, ["torchvision:vgg11"], resume=False) == 0
    assert taken[first:] == ["torchvision:vgg11"]
    rows = [json.loads(line)["model"] for line in table.with_suffix(".jsonl").read_text().splitlines()]
    assert sorted(rows) == sorted(taken)
    assert rows == [name for name in zoo_models() if name in rows]


def test_a_stopped_run_goes_on(tmp_path, taken):
    table = tmp_path / "zoo.md"
    zoo.run_zoo(table, ["torchvision:resnet18"], resume=False)
    zoo.run_zoo(table, [], resume=True)
    assert sorted(taken) == sorted(zoo_models())
    assert "have not been run" not in table.read_text(encoding="utf-8")


def test_no_row_is_lost_with_the_rows_file(tmp_path, taken, capsys):
    table = tmp_path / "zoo.md"
    table.write_text("the table of yesterday\n", encoding="utf-8")
    assert zoo.run_zoo(table, ["torchvision:resnet18"], resume=False) == 2
    assert "would lose its other rows" in capsys.readouterr().err
    assert table.read_text(encoding="utf-8") == "the table of yesterday\n"
    assert not taken


def test_a_pattern_without_a_model_is_told(tmp_path, taken, capsys):
    assert zoo.run_zoo(tmp_path / "zoo.md", ["torchvision:resnet19"], resume=False) == 2
    assert "No model of the zoo matches torchvision:resnet19" in capsys.readouterr().err
