from __future__ import annotations

import math

import hypothesis
import numpy as np
import pytest
from strategies import EXPERIMENTS

from semimech._errors import ExperimentError
from semimech.experiment import (
    Dose,
    Edit,
    Experiment,
    Harvest,
    Passage,
    SetMedia,
    Transplant,
    Wait,
    format_experiment,
    parse_experiment,
)


@hypothesis.given(EXPERIMENTS)
def test_an_experiment_survives_its_text_form(experiment):
    assert parse_experiment(format_experiment(experiment), id=experiment.id) == experiment


@pytest.mark.parametrize(
    ("text", "step"),
    [
        ("edit GATA1", Edit(gene="GATA1")),
        ("edit GATA1 knockout", Edit(gene="GATA1")),
        ("edit GATA1 crispri 0.8", Edit(gene="GATA1", kind="crispri", efficacy=0.8)),
        ("edit GATA1 crispra 3", Edit(gene="GATA1", kind="crispra", efficacy=3.0)),
        ('edit "AKT pS473" drug .5', Edit(gene="AKT pS473", kind="drug", efficacy=0.5)),
        ("medium erythroid", SetMedia(name="erythroid")),
        ("medium N2B27  plus LIF", SetMedia(name="N2B27 plus LIF")),
        ('medium "N2B27  plus"', SetMedia(name="N2B27  plus")),
        ("wait 72h", Wait(hours=72)),
        ("wait 1.5d", Wait(hours=36)),
        ("wait settled", Wait(hours=math.inf)),
        ("edit GATA1 onset 12h", Edit(gene="GATA1", onset_hours=12)),
        ("edit GATA1 drug turnover 1d", Edit(gene="GATA1", kind="drug", turnover_hours=24)),
        (
            "edit GATA1 crispri 0.8 onset 12h turnover 8h",
            Edit(gene="GATA1", kind="crispri", efficacy=0.8, onset_hours=12, turnover_hours=8),
        ),
        ("edit onset turnover 8h", Edit(gene="onset", turnover_hours=8)),
        ("dose trametinib 0.5uM", Dose(compound="trametinib", concentration=0.5)),
        ("dose trametinib 5e-1µM", Dose(compound="trametinib", concentration=0.5)),
        ("dose trametinib 0.5μM", Dose(compound="trametinib", concentration=0.5)),
        ("dose trametinib 500nM", Dose(compound="trametinib", concentration=0.5)),
        ('dose "all trans RA" 1mM', Dose(compound="all trans RA", concentration=1000)),
        ("dose trametinib 0uM", Dose(compound="trametinib", concentration=0)),
        ("passage 0.25", Passage(fraction=0.25)),
        ("transplant 500 kidney", Transplant(founders=500, niche="kidney")),
        ("transplant 500 kidney capsule", Transplant(founders=500, niche="kidney capsule")),
        ("harvest early 2000cells", Harvest(label="early", cells=2000)),
        ("harvest day 5 2000cells", Harvest(label="day 5", cells=2000)),
        ('harvest "2000cells"', Harvest(label="2000cells")),
        ('harvest "2000cells" 30cells', Harvest(label="2000cells", cells=30)),
    ],
)
def test_each_step_is_read_as_written(text, step):
    assert parse_experiment(f"{text} > harvest last").steps == (step, Harvest(label="last"))


def test_a_harvest_of_counted_cells_needs_no_label():
    assert parse_experiment("harvest 2000cells").steps == (Harvest(cells=2000),)


def test_a_protocol_of_all_steps_is_printed_as_it_was_read():
    text = (
        "edit GATA1 crispri 0.8 onset 12h turnover 8h > dose trametinib 0.5uM > wait 72h > medium endoderm > "
        "passage 0.25 > transplant 500 kidney > harvest day5 2000cells"
    )
    assert format_experiment(parse_experiment(text)) == text


def test_a_query_is_named_by_its_text_unless_it_has_a_name():
    text = "edit GATA1 knockout > wait 120h > harvest"
    assert parse_experiment(text).id == text
    assert parse_experiment(text, id="mine").id == "mine"
    assert parse_experiment("wait 1h\n> harvest").id == "wait 1h > harvest"


def test_numbers_of_numpy_are_printed_as_numbers():
    steps = (Edit(gene="A", efficacy=float(np.float64(0.5))), Wait(hours=np.float64(36)), Harvest())
    assert format_experiment(Experiment(id="e", steps=steps)) == "edit A knockout 0.5 > wait 36h > harvest harvest"


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("edit", r"write edit GENE"),
        ("edit A knockout 1 2", r"write edit GENE"),
        ("edit A knock-out", r"kind must be one of knockout, crispri, crispra, drug, got 'knock-out'"),
        ("edit A knockout most", r"efficacy must be a number, got 'most'"),
        ("edit A knockout 70", r"efficacy must lie in \[0, 1\]"),
        ("edit A+B", r"one Edit per gene"),
        ("medium", r"write medium NAME"),
        ("wait", r"write wait 72h"),
        ("wait 72", r"a duration needs its unit, got '72'"),
        ("wait threeh", r"duration must be a number, got 'three'"),
        ("wait -3h", r"hours must be 0 or more"),
        ("wait nanh", r"hours must be 0 or more"),
        ("graft liver", r"unknown step 'graft'; known: edit, dose, medium, wait, passage, transplant, harvest"),
        ("edit A knockout onset", r"write edit GENE"),
        ("edit A knockout onset 12h onset 8h", r"write edit GENE"),
        ("edit A onset 12h knockout 8h", r"write edit GENE"),
        ("edit A knockout onset 12", r"a duration needs its unit, got '12'"),
        ("edit A knockout turnover -1h", r"turnover_hours must be a finite number of hours, 0 or more"),
        ("edit A knockout onset infh", r"onset_hours must be a finite number of hours, 0 or more"),
        ("dose trametinib", r"write dose COMPOUND 0.5uM"),
        ("dose trametinib 0.5", r"a concentration needs its unit, got '0.5'"),
        ("dose trametinib 0.5mg", r"a concentration needs its unit, got '0.5mg'"),
        ("dose trametinib halfuM", r"a concentration needs its unit, got 'halfuM'"),
        ("dose trametinib 1.2.3uM", r"concentration must be a number, got '1.2.3'"),
        ("dose trametinib -1uM", r"concentration must be a finite number of µM, 0 or more"),
        ("passage", r"write passage FRACTION"),
        ("passage half", r"fraction must be a number, got 'half'"),
        ("passage 4", r"fraction must lie in \(0, 1\]"),
        ("transplant liver", r"write transplant FOUNDERS NICHE"),
        ("transplant many liver", r"founders must be a whole number, got 'many'"),
        ("transplant 0 liver", r"founders must be a whole number of cells, 1 or more"),
        ("harvest x 2.5cells", r"cells must be a whole number, got '2.5'"),
        ("harvest x 0cells", r"cells must be a whole number of cells, 1 or more"),
        ("", r"an empty step"),
    ],
)
def test_a_fault_is_named_and_pointed_at(bad, message):
    text = f"edit B >  {bad} > harvest"
    with pytest.raises(ExperimentError, match=message) as caught:
        parse_experiment(text)
    shown, marks = str(caught.value).splitlines()[-2:]
    marked = "".join(s for s, m in zip(shown, marks, strict=False) if m == "^")
    assert shown.strip() == text
    assert marked.strip(" >") == bad


def test_all_faults_of_a_query_are_listed_at_once():
    with pytest.raises(ExperimentError, match=r"(?s)Query: 2 faults.*got '70'.*got '3'"):
        parse_experiment("edit GATA1 70 > wait 3 > harvest")


def test_a_query_that_harvests_nothing_is_refused():
    with pytest.raises(ExperimentError, match="no harvest"):
        parse_experiment("edit GATA1 > wait 3d")
