"""Facts about pilots: verdicts that follow from figures, and a report that says them."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from small_data import condition, dataset

from semimech.data import Examination
from semimech.data.findings import failed, findings_table, passed
from semimech.design import Prices, sensitivity
from semimech.pipeline.pilot import MODEL, Trial, judge_data, judge_element, judge_value, overall, reliability
from semimech.report.pilot import PilotContent, Stage, as_json, pilot_sections
from semimech.report.write import render_page

FINE = Examination(findings=findings_table([passed("readable file", "yes")]))
EDITS = [f"G{i}" for i in range(8)]


def screen(*, noise: float, signal: float = 1.0, n_edits: int = 8):
    rng = np.random.default_rng(0)
    conditions = [condition("control", 48.0), *(condition(e, 48.0) for e in EDITS[:n_edits])]
    change = signal * rng.normal(size=(len(conditions), 200)) * (np.arange(len(conditions))[:, None] > 0)
    halves = change + noise * rng.normal(size=(2, *change.shape))
    return dataset(conditions, 5 + halves.mean(axis=0), halves=5 + halves, standard_error=noise / 2**0.5)


def trial(ratio: float, *, spread: float = 0.05) -> Trial:
    rng = np.random.default_rng(1)
    rows = [
        (size, name, edit, factor * (2.0**-size) * float(rng.lognormal(sigma=spread)))
        for size in (0, 1)
        for edit in EDITS
        for name, factor in ((MODEL, ratio), ("additive", 1.0))
    ]
    scores = pd.DataFrame(rows, columns=["size", "predictor", "perturbation", "value"])
    comparison = {"estimate": ratio, "lower": ratio - 0.1, "upper": ratio + 0.1, "reference": "additive", "n_edits": 8}
    return Trial(sizes=np.array([10.0, 20.0]), scores=scores, comparison=comparison, assumptions=("wiring is known",))


def test_reliability_is_the_share_of_signal_in_the_mean_of_two_halves():
    found = reliability(screen(noise=1.0))["reliability"].to_numpy()
    assert found.mean() == pytest.approx(
        1 / (1 + 1 / 2 + 1 / 2), abs=0.05
    )  # signal 1; means of edit and control, 1/2 each


def test_responses_that_are_noise_are_not_yet_good_enough_and_it_says_what_to_mend():
    stage, _ = judge_data(FINE, screen(noise=1.0, signal=0.05))
    assert stage.verdict == "not yet"
    assert any("told from noise" in reason for reason in stage.reasons)
    assert any("more cells" in mend for mend in stage.mends)
    assert judge_data(FINE, screen(noise=0.3))[0].verdict == "go"


def test_few_edits_and_missing_controls_are_named_together():
    small = screen(noise=0.3, n_edits=3)
    stage, _ = judge_data(FINE, small.subset(np.arange(1, 4)))
    assert stage.verdict == "not yet" and len(stage.reasons) >= 2


def test_data_that_cannot_be_read_get_their_reasons_and_no_further_stage():
    bad = Examination(findings=findings_table([failed("controls", "there are none", mend="add them")]))
    stage, table = judge_data(bad, None)
    assert stage.verdict == "not yet" and stage.mends == ("controls: add them",) and not len(table)
    content = PilotContent(title="bad", verdict="not yet", stages=(stage,), reliability=table, scores=table, sizes=())
    page = render_page("Pilot", pilot_sections(content))
    assert page.count("Not judged") == 2 and "add them" in page


@pytest.mark.parametrize(("ratio", "verdict"), [(0.5, "go"), (1.5, "no"), (1.0, "not yet")])
def test_the_element_is_judged_by_the_interval_of_its_error(ratio, verdict):
    assert judge_element(trial(ratio)).verdict == verdict


def test_half_of_the_error_saves_between_a_third_and_half_where_error_halves_with_twice_the_edits():
    """20 edits reach what takes 40 by a power law and 30 by an exponential: 1 - 20 / sqrt(1200)."""
    stage, found = judge_value(trial(0.5), Prices(), conditions_per_edit=1.0, edits_per_week=10.0)
    assert stage.verdict == "go" and found.share == pytest.approx(0.42, abs=0.05)
    assert judge_value(trial(2.0), Prices(), conditions_per_edit=1.0, edits_per_week=10.0)[0].verdict == "no"


@pytest.mark.parametrize(
    ("ratio", "fall", "said"), [(0.99, 1e-4, "cannot be told"), (0.7, 1e-4, "at least"), (0.7, 0.02, "at least")]
)
def test_where_errors_hardly_fall_no_saving_is_claimed_and_nothing_is_worth_money(ratio, fall, said):
    one = trial(ratio)
    level = one.scores.groupby(["predictor", "size"])["value"].transform("mean")
    wanted = np.where(one.scores["predictor"] == MODEL, ratio, 1.0) * (1.0 - fall * one.scores["size"])
    flat = replace(one, scores=one.scores.assign(value=one.scores["value"] / level * wanted))
    stage, found = judge_value(flat, Prices(edit=100.0), conditions_per_edit=1.0, edits_per_week=10.0)
    assert stage.verdict == "not yet" and not found.can_be_told
    assert said in stage.reasons[0] and "saves 9" not in stage.reasons[0]
    assert not {"money", "share", "needed", "weeks"} & set(stage.numbers)


def test_all_stages_must_say_go_and_no_needs_good_data():
    go, no, later = (Stage(verdict=v, reasons=("why",)) for v in ("go", "no", "not yet"))
    assert overall((go, go, go)) == "go"
    assert overall((go, no, no)) == "no"
    assert overall((later, no, no)) == overall((go,)) == "not yet"


def test_the_report_has_a_page_for_each_stage_and_the_machine_reads_the_same():
    data, table = judge_data(FINE, screen(noise=0.3))
    one = trial(0.5)
    stages = (data, judge_element(one), judge_value(one, Prices(), conditions_per_edit=1.0, edits_per_week=10.0)[0])
    content = PilotContent(
        title="x",
        verdict=overall(stages),
        stages=stages,
        reliability=table,
        scores=one.scores,
        sizes=(10.0, 20.0),
        sensitivity=sensitivity(judge_value(one, Prices(), conditions_per_edit=1.0, edits_per_week=10.0)[1], Prices()),
    )
    page = render_page("Pilot", pilot_sections(content))
    assert page.count("<img") == 3 and page.count('id="stage-') == 3 and "break-before: page" in page
    read = json.loads(as_json(content))
    assert "if one of your prices were half or double" in page
    assert [row["price"] for row in read["sensitivity"]] == ["edit", "harvest", "cell", "week"]
    assert read["verdict"] == "go" and read["stages"]["mechanism"]["numbers"]["ratio"] == 0.5
