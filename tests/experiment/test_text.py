from __future__ import annotations

import math

import hypothesis
import numpy as np
import pytest
from strategies import EXPERIMENTS

from semimech._errors import ExperimentError
from semimech.experiment import Edit, Experiment, Harvest, SetMedia, Wait, format_experiment, parse_experiment


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
    ],
)
def test_each_step_is_read_as_written(text, step):
    assert parse_experiment(f"{text} > harvest").steps == (step, Harvest())


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
