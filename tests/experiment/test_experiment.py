from __future__ import annotations

import itertools
import math

import hypothesis
import hypothesis.strategies as st
import pytest
from strategies import EDITS, EXPERIMENTS, NAMES

from semimech._errors import ExperimentError
from semimech.experiment import (
    CONTROL,
    Condition,
    Context,
    Dose,
    Edit,
    Experiment,
    Harvest,
    Passage,
    Period,
    SetMedia,
    Transplant,
    Wait,
    as_experiment,
)


def history(*steps):
    (condition,) = Experiment(id="e", steps=(*steps, Harvest())).conditions.values()
    return condition


@hypothesis.given(EXPERIMENTS)
def test_each_harvest_has_the_hours_of_the_waits_before_it(experiment):
    hours = 0.0
    expected = []
    for step in experiment.steps:
        hours += step.hours if isinstance(step, Wait) else 0
        expected += [hours] if isinstance(step, Harvest) else []
    assert [c.hours for c in experiment.conditions.values()] == pytest.approx(expected, abs=1e-8)
    assert list(experiment.conditions) == [s.label for s in experiment.steps if isinstance(s, Harvest)]


@hypothesis.given(EXPERIMENTS)
def test_each_harvest_carries_the_edits_and_the_medium_before_it(experiment):
    edits, medium, doses, expected = [], None, {}, []
    for step in experiment.steps:
        match step:
            case Edit():
                edits.append(step)
            case Dose():
                doses[step.compound] = step.concentration
            case SetMedia(name=medium) | Transplant(niche=medium):
                doses = {}
            case Harvest():
                expected.append((set(edits), medium, {name: c for name, c in doses.items() if c > 0}))
    found = list(experiment.conditions.values())
    assert [(set(c.edits), c.medium, {d.compound: d.concentration for d in c.context.doses}) for c in found] == expected
    assert all(not c.is_control for c, (edits, _, doses) in zip(found, expected, strict=True) if edits or doses)
    assert all((c.perturbation == CONTROL) == c.is_control for c in found)


@hypothesis.given(EXPERIMENTS)
def test_neighbouring_periods_differ_in_context_and_only_the_last_is_empty(experiment):
    for condition in experiment.conditions.values():
        assert all(a.context != b.context for a, b in itertools.pairwise(condition.history))
        assert all(period.hours > 0 for period in condition.history[:-1])


@hypothesis.given(st.lists(st.floats(0.001, 100), min_size=1, max_size=5))
def test_a_wait_in_parts_is_the_same_condition_as_the_whole(hours):
    assert history(*(Wait(hours=h) for h in hours)) == history(Wait(hours=math.fsum(hours)))


@hypothesis.given(st.lists(EDITS, min_size=2, max_size=4, unique_by=lambda e: e.gene), st.randoms())
def test_edits_made_at_one_moment_have_no_order(edits, random):
    shuffled = random.sample(edits, len(edits))
    assert history(*edits, Wait(hours=24)) == history(*shuffled, Wait(hours=24))
    assert Context(edits=tuple(edits)) == Context(edits=tuple(shuffled))


def test_edit_then_medium_differs_from_medium_then_edit_when_time_passes_between():
    edit, medium, wait = Edit(gene="A"), SetMedia(name="M"), Wait(hours=24)
    assert history(edit, wait, medium, wait) != history(medium, wait, edit, wait)
    assert history(edit, medium, wait) == history(medium, edit, wait)


@hypothesis.given(NAMES, NAMES)
def test_a_medium_replaced_before_time_passes_leaves_no_trace(first, second):
    assert history(SetMedia(name=first), SetMedia(name=second), Wait(hours=1)) == history(
        SetMedia(name=second), Wait(hours=1)
    )


def test_conditions_of_equal_history_are_equal_whatever_their_names():
    first = Experiment(id="a", steps=(Edit(gene="A"), Wait(hours=24), Harvest(label="x"), Wait(hours=24), Harvest()))
    second = Experiment(id="b", steps=(Edit(gene="A"), Wait(hours=48), Harvest(label="y")))
    assert first.conditions["harvest"] == second.conditions["y"]
    assert hash(first.conditions["harvest"]) == hash(second.conditions["y"])


def test_a_change_just_before_the_harvest_is_part_of_the_history():
    condition = history(Wait(hours=24), SetMedia(name="M"))
    assert condition.media == (None, "M")
    assert condition.history[-1] == Period(context=Context(medium="M"), hours=0.0)
    assert condition.hours == 24


def test_cells_just_taken_are_controls_at_hour_0():
    condition = history()
    assert (condition.hours, condition.perturbation, condition.media) == (0.0, CONTROL, (None,))


def test_a_settled_wait_lasts_for_ever_whatever_follows():
    assert history(Wait(hours=math.inf), Wait(hours=24)) == history(Wait(hours=math.inf))


def test_the_perturbation_names_the_edited_genes_in_sorted_order():
    assert history(Edit(gene="TAL1"), Edit(gene="GATA1"), Wait(hours=1)).perturbation == "GATA1+TAL1"


@hypothesis.given(EXPERIMENTS)
def test_the_shortest_protocol_leads_to_the_same_condition(experiment):
    for condition in experiment.conditions.values():
        assert as_experiment(condition, id="again").conditions == {"harvest": condition}


def test_a_return_to_the_maintenance_medium_is_a_step():
    there = Period(context=Context(medium="M"), hours=1.0)
    back = Period(context=Context(), hours=2.0)
    experiment = as_experiment(Condition(history=(there, back)), id="e", maintenance_medium="mTeSR")
    assert experiment.steps == (SetMedia(name="M"), Wait(hours=1), SetMedia(name="mTeSR"), Wait(hours=2), Harvest())


def test_an_experiment_lists_all_its_faults_at_once():
    steps = (Edit(gene="A"), Edit(gene="A"), Wait(hours=1), Harvest(label="x"), Harvest(label="x"))
    with pytest.raises(ExperimentError, match=r"(?s)'e': 2 faults.*label 'x' stands twice.*'A' is edited twice"):
        Experiment(id="e", steps=steps)


def test_an_experiment_without_harvest_is_refused():
    with pytest.raises(ExperimentError, match="no harvest: end the steps with a Harvest"):
        Experiment(id="e", steps=(Wait(hours=1),))


@pytest.mark.parametrize("id", ["", "  ", "a\tb", "a\nb"])
def test_the_id_of_an_experiment_fits_into_a_cell_of_a_table(id):
    with pytest.raises(ExperimentError, match="id must be a name"):
        Experiment(id=id, steps=(Harvest(),))


def test_a_condition_without_history_is_refused():
    with pytest.raises(ExperimentError, match="at least one period"):
        Condition(history=())


@pytest.mark.usefixtures("unchecked_types")
def test_only_steps_stand_among_the_steps():
    with pytest.raises(ExperimentError, match="step 1 must be one of Edit, Dose, .*, Harvest, got 'edit GATA1'"):
        Experiment(id="e", steps=("edit GATA1", Harvest()))


def test_a_passage_leaves_the_condition_of_the_cells_as_it_is():
    wait = Wait(hours=24)
    assert history(wait, Passage(fraction=0.25), wait) == history(Wait(hours=48))


def test_a_transplant_is_a_change_of_medium_to_the_condition():
    wait = Wait(hours=24)
    few, many = (history(wait, Transplant(founders=n, niche="kidney"), wait) for n in (1, 10**6))
    assert few == many == history(wait, SetMedia(name="kidney"), wait)


def test_the_number_of_cells_taken_leaves_their_condition_as_it_is():
    (condition,) = Experiment(id="e", steps=(Wait(hours=24), Harvest(cells=2000))).conditions.values()
    assert condition == history(Wait(hours=24))


def test_an_edit_with_a_delay_is_another_edit():
    assert history(Edit(gene="A", onset_hours=12.0), Wait(hours=24)) != history(Edit(gene="A"), Wait(hours=24))


def test_an_edit_that_ends_has_no_protocol():
    edited = Period(context=Context(edits=(Edit(gene="A"),)), hours=1.0)
    with pytest.raises(ExperimentError, match="the edit of 'A' ends, .* only a compound can be washed out"):
        as_experiment(Condition(history=(edited, Period(context=Context(), hours=1.0))), id="e")
