"""The page of verdicts: what is missed and what is a false alarm is shown, and no row is lost by accident."""

import json

import pytest

from proofs import verdicts
from proofs.judging import SECTIONS
from proofs.peers import PEERS
from proofs.verdicts_page import TRULY_WRONG, as_page, failures


def fault(**changes):
    return {
        "job": "fault:strides small:windows 0",
        "section": "fault",
        "date": "2026-01-02",
        "kind": "strides",
        "model": "small:windows",
        "node": "strided",
        "operator": "Conv",
        "detail": "2 made 3",
        "shown_by": "the recorded input",
        "expected": ["strided"],
        "headline": "Conv2d strided",
        "found": True,
        "named": "strided",
        "right": True,
        "cause": "export",
        "drift": 1e4,
        "peers": {peer: [True, False] for peer in PEERS},
    } | changes


def sound(section="sound", **changes):
    return {
        "job": f"{section}:m",
        "section": section,
        "date": "2026-01-03",
        "model": "m",
        "runner": "openvino",
        "outputs": 30,
        "verdict": "pass",
        "drift": 1.5,
        "at": "conv",
        "introduced": 2.0,
        "culprit": None,
        "headline": "All pass.",
        "peers": dict.fromkeys(PEERS, 4),
    } | changes


def test_the_page_says_what_was_found_named_and_alarmed():
    page = as_page([fault(), sound("hostile"), sound(), sound(runner="onnx-cpu")], 7)
    assert "Made by `make verdicts` on 2026-01-02 to 2026-01-03" in page
    assert "**1 of 1 planted faults** were found and the operation named." in page
    assert "**False alarms: 0** in 1 runs of 1 networks of hostile scales, 30 outputs, in 1 runners." in page
    assert "**False alarms: 0** in 2 runs of 1 sound models, 60 outputs, in 2 runners." in page
    assert "**7 jobs have not been run.**" in page
    assert "| strides | 1 | 1 | 1 | 1e+04 to 1e+04 | 1 / 0 | 1 / 0 | 1 / 0 |" in page
    assert "None was missed." in page
    assert failures([fault(), sound("hostile"), sound()]) == []


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (fault(right=False, named="head"), "- small:windows, strides: 2 made 3 at Conv strided. Named was head."),
        (
            fault(right=False, found=False, named=None, shown_by="a batch of 3"),
            "at Conv strided. Nothing was called wrong. Only other inputs show it: a batch of 3.",
        ),
        (sound("hostile", verdict="drift", headline="conv drifts"), "- m in openvino: conv drifts"),
        (sound(verdict="drift", culprit="conv"), "**False alarms: 1** in 1 runs of 1 sound models"),
        ({"job": "sound:m", "section": "sound", "date": "2026-01-02", "model": "m", "error": "no such model"},
         "- sound:m could not be judged: no such model"),
    ],
)  # fmt: skip
def test_what_went_wrong_is_told_and_fails(row, told):
    assert told in as_page([row], 0)
    assert failures([row]) == [row]


def test_an_alarm_that_is_true_is_explained_and_no_failure():
    (model, runner, culprit), why = next(iter(TRULY_WRONG.items()))
    row = sound(model=model, runner=runner, culprit=culprit, verdict="drift")
    page = as_page([row], 0)
    assert why in page
    assert "**Alarms of sound models that turned out to be true: 1**" in page
    assert failures([row]) == []


def test_a_network_that_the_export_refuses_is_listed_and_no_alarm():
    row = {"job": "hostile:m", "section": "hostile", "date": "2026-01-02", "model": "m", "runner": "export"}
    row |= {"verdict": "not run", "reason": "log1p returns wrong values"}
    page = as_page([row, sound("hostile")], 0)
    assert "**False alarms: 0** in 1 runs of 1 networks of hostile scales" in page
    assert "The export itself refused 1 more" in page
    assert "- m did not get through export: log1p returns wrong values" in page
    assert failures([row]) == []


def test_two_faults_in_two_hundred_may_be_missed():
    faults = [fault(right=place >= 2) for place in range(200)]
    assert failures(faults) == []
    assert len(failures([*faults[:199], fault(right=False)])) == 3


@pytest.fixture
def done(monkeypatch):
    """Replace every job by a row, and return the list of jobs that were done."""
    jobs = []
    rows = {"fault": fault, "hostile": lambda: sound("hostile"), "sound": sound}

    def judge(section):
        def one(job, work):
            jobs.append(f"{section}:{job}")
            yield rows[section]()

        return one

    fakes = {section: (names, judge(section)) for section, (names, _) in SECTIONS.items()}
    monkeypatch.setattr(verdicts, "SECTIONS", fakes)
    monkeypatch.setattr(verdicts, "as_page", lambda rows, missing: f"{len(rows)} rows, {missing} missing\n")
    return jobs


def test_a_stopped_run_goes_on_and_a_pattern_leaves_the_other_rows(tmp_path, done):
    page, everything = tmp_path / "page.md", verdicts.all_jobs()
    assert verdicts.run(page, ["fault:strides*"], resume=False) == 0
    assert done == [job for job in everything if job.startswith("fault:strides")]
    assert page.read_text() == f"{len(done)} rows, {len(everything) - len(done)} missing\n"
    assert verdicts.run(page, ["sound:cnn*", "sound:small:*"], resume=True) == 0
    assert verdicts.run(page, ["sound:small:norms"], resume=False) == 0
    kept = [json.loads(line)["job"] for line in page.with_suffix(".jsonl").read_text().splitlines()]
    assert kept == [job for job in everything if job in done]
    assert done[-1] == "sound:small:norms"
    assert done.count("sound:small:norms") == 2


def test_what_cannot_be_judged_is_a_row(tmp_path, monkeypatch):
    def fails(job, work):
        raise ValueError("no place")
        yield

    monkeypatch.setattr(verdicts, "SECTIONS", {"fault": (("one",), fails)})
    page = tmp_path / "page.md"
    assert verdicts.run(page, [], resume=False) == 1
    assert "- fault:one could not be judged: no place" in page.read_text()


def test_no_row_is_lost_with_the_rows_file(tmp_path, done, capsys):
    page = tmp_path / "page.md"
    page.write_text("the page of yesterday\n", encoding="utf-8")
    assert verdicts.run(page, ["fault:strides*"], resume=False) == 2
    assert "would lose its other rows" in capsys.readouterr().err
    assert page.read_text(encoding="utf-8") == "the page of yesterday\n"
    assert not done


def test_a_pattern_without_a_job_is_told(tmp_path, done, capsys):
    assert verdicts.run(tmp_path / "page.md", ["fault:no such kind*"], resume=False) == 2
    assert "No job matches fault:no such kind*" in capsys.readouterr().err
