"""The operator of a protocol, as an object that is applied to states and composed (≤ 1e-5 relative)."""

from __future__ import annotations

import math

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from small_laws import FINE, N_GENES, ROSTER, START, UNIT, ensemble, linear, mechanistic, neural, operators, states

from semimech._errors import ExperimentError
from semimech.experiment import Context, Edit, SetMedia, Wait, parse_experiment, remaining_history
from semimech.model import AdaptiveSolver, protocol_steps

pytestmark = pytest.mark.usefixtures("x64")

EXACT = 1e-5
CELLS = UNIT * np.stack([START, np.ones(N_GENES), START[::-1]])
LAWS = {
    "mechanistic": mechanistic,
    "with residual": lambda seed: mechanistic(seed, residual=True),
    "neural": neural,
    "linear": linear,
}
every_law = pytest.mark.parametrize("law", LAWS)

SEEDS = st.integers(0, 10_000)
WAITS = st.sampled_from(["wait 7.03125h", "wait 17.109375h", "wait 0h"])
KINDS = st.tuples(
    st.sampled_from(["knockout", "crispri", "crispra", "drug"]), st.floats(0.1, 1.0).map(lambda x: round(x, 3))
).map("{0[0]} {0[1]}".format)
MEDIA = st.sampled_from(["medium M", "medium N", "medium maintenance", "wait 0h"])
some = settings(max_examples=8)


@st.composite
def protocols(draw: st.DrawFn, gene: str) -> str:
    """Two waits with a change of medium and an edit of this gene before or between them."""
    steps = draw(st.permutations([f"edit {gene} {draw(KINDS)}", draw(MEDIA), draw(WAITS)]))
    return " > ".join([*steps, draw(WAITS)])


def of(law: str, seed: int):
    """Makes the operators of two random laws of one kind."""
    return operators(ensemble(LAWS[law](seed), LAWS[law](seed + 1)))


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """Largest difference relative to the size of each state, in units of unedited cells."""
    return float((np.abs((a - b) / UNIT).max(axis=-1) / np.abs(b / UNIT).max(axis=-1)).max())


@every_law
@some
@given(seed=SEEDS, change=st.sampled_from(["edit A knockout", "medium M", "wait 0h", "edit T > medium N"]))
def test_doing_something_and_waiting_for_no_time_is_the_identity(law, seed, change):
    make = of(law, seed)
    assert distance(make(change)(CELLS), CELLS) < 1e-12
    assert make(change).hours == 0.0
    assert distance(make(())(CELLS), CELLS) < 1e-12


@every_law
@some
@given(seed=SEEDS, medium=MEDIA, kind=KINDS)
def test_waiting_twice_with_the_same_edits_and_medium_is_waiting_once_for_the_sum(law, seed, medium, kind):
    make = of(law, seed)
    first, later = make(f"edit A {kind} > {medium} > wait 7.03125h"), make("wait 17.109375h")
    whole = make(f"edit A {kind} > {medium} > wait 24.140625h")
    assert distance((later @ first).members(CELLS), whole.members(CELLS)) < EXACT
    assert distance(later.after(first).members(first.members(CELLS)), whole.members(CELLS)) < EXACT
    assert (later @ first).hours == whole.hours == 24.140625
    assert (later @ first).contexts == whole.contexts


@every_law
@some
@given(seed=SEEDS, first=protocols("A"), second=protocols("C"))
def test_a_composition_is_one_operator_applied_after_the_other_in_each_member(law, seed, first, second):
    make = of(law, seed)
    whole, start, then = make(f"{first} > {second}"), make(first), make(second)
    composed = (then @ start).members(CELLS)
    assert distance(composed, whole.members(CELLS)) < EXACT
    assert distance(composed, then.after(start).members(start.members(CELLS))) < EXACT
    assert (then @ start).hours == pytest.approx(start.hours + then.hours)


@some
@given(seed=SEEDS, parts=st.tuples(protocols("A"), protocols("B"), protocols("T")))
def test_composition_is_associative(seed, parts):
    a, b, c = map(of("mechanistic", seed), parts)
    left, right = (c @ b) @ a, c @ (b @ a)
    assert left.periods == right.periods
    np.testing.assert_array_equal(left.members(CELLS), right.members(CELLS))


@every_law
@some
@given(seed=SEEDS, gene=st.sampled_from(ROSTER.regulators), kind=st.sampled_from(["knockout", "crispri", "crispra"]))
def test_an_edit_without_efficacy_is_the_identity_in_any_composition(law, seed, gene, kind):
    make = of(law, seed)
    null, rest_of_it = make(f"edit {gene} {kind} 0"), make("medium M > wait 7.03125h")
    without = rest_of_it.members(CELLS)
    assert distance((rest_of_it @ null).members(CELLS), without) < 1e-12
    assert distance((null @ rest_of_it).members(CELLS), without) < 1e-12


@some
@given(seed=SEEDS, kinds=st.tuples(KINDS, KINDS))
def test_edits_made_at_the_same_moment_commute(seed, kinds):
    make = of("mechanistic", seed)
    a, c, wait = make(f"edit A {kinds[0]}"), make(f"edit C {kinds[1]}"), make("wait 17.109375h")
    np.testing.assert_array_equal((wait @ a @ c).members(CELLS), (wait @ c @ a).members(CELLS))


def test_edits_that_do_not_interact_commute_once_cells_have_settled():
    # Modules A ⇄ B and C ⇄ D; nothing leads from one to the other.
    weight = np.zeros((N_GENES, len(ROSTER.regulators)))
    weight[1, 0], weight[0, 1], weight[3, 2], weight[2, 3] = 0.8, -0.6, -0.9, 0.5
    make = operators(ensemble(mechanistic(0, weight=weight, edit_effect=np.zeros(N_GENES))))
    a, c = make("edit A > wait settled"), make("edit C crispri 0.7 > wait settled")
    assert distance((a @ c)(CELLS), (c @ a)(CELLS)) < EXACT


def test_edits_stay_and_a_new_medium_replaces_the_last():
    make = of("mechanistic", 3)
    first = make("edit A crispri 0.5 > medium M > wait 7.03125h")
    then = make("wait 2h > medium N > edit T > wait 7.03125h > medium maintenance") @ first
    a, t = Edit(gene="A", kind="crispri", efficacy=0.5), Edit(gene="T")
    assert then.contexts == (
        Context(edits=(a,), medium="M"),
        Context(edits=(a, t), medium="N"),
        Context(edits=(a, t)),
    )
    assert then.hours == pytest.approx(16.0625)
    assert [period.hours for period in then.periods] == [9.03125, 7.03125, 0.0]
    assert then.steps == protocol_steps(
        "edit A crispri 0.5 > medium M > wait 7.03125h > wait 2h > medium N > edit T > wait 7.03125h > medium maintenance"
    )


def test_a_protocol_after_one_that_changed_nothing_lasting_is_the_same_operator():
    make = of("neural", 4)
    first, second = make("medium M > wait 7.03125h > medium maintenance"), make("edit B > wait 17.109375h")
    np.testing.assert_array_equal(second.after(first).members(CELLS), second.members(CELLS))
    assert second.after(first).contexts == second.contexts


def test_going_back_to_the_medium_before_a_change_that_took_no_time_goes_on_with_the_period_before():
    make = of("mechanistic", 5)
    first, second = make("medium N > wait 7.03125h > medium M"), make("medium N > wait 17.109375h")
    assert [(period.context.medium, period.hours) for period in (second @ first).periods] == [("N", 24.140625)]
    assert [(period.context.medium, period.hours) for period in second.after(first).periods] == [("N", 17.109375)]


def test_a_gene_edited_in_both_operators_is_refused():
    make = of("linear", 0)
    first, second = make("edit A > wait 2h"), make("edit A crispri 0.5")
    with pytest.raises(ExperimentError, match="gene 'A' is edited twice: combine both into one Edit"):
        second @ first
    with pytest.raises(ExperimentError, match="gene 'A' is edited twice"):
        second.after(first)


def test_operators_of_different_models_are_not_composed():
    with pytest.raises(ValueError, match="different models"):
        of("linear", 0)("wait 2h") @ of("linear", 1)("wait 2h")


@every_law
def test_a_single_state_is_a_row_of_many_and_the_mean_is_taken_over_members(law):
    make = of(law, 6)
    asked = make("edit A > medium M > wait 7.03125h")
    each = asked.members(CELLS)
    assert each.shape == (2, *CELLS.shape)
    np.testing.assert_allclose(asked.members(CELLS[1]), each[:, 1], rtol=1e-12)
    np.testing.assert_array_equal(asked(CELLS), each.mean(axis=0))
    np.testing.assert_array_equal(asked(CELLS[2]), asked.members(CELLS[2]).mean(axis=0))
    np.testing.assert_allclose(asked.members(np.stack([CELLS, CELLS[::-1]]))[1], each[1, ::-1], rtol=1e-12)
    for number, law_of_one in enumerate([LAWS[law](6), LAWS[law](7)]):
        alone = operators(ensemble(law_of_one))("edit A > medium M > wait 7.03125h")
        np.testing.assert_allclose(alone(CELLS), each[number], rtol=1e-12)


@pytest.mark.parametrize("shape", [(3,), (2, 5), (3, 2, N_GENES), (1, 2, 2, N_GENES)])
def test_states_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match=r"states must have the shape \(4,\), \(n, 4\) or \(2, n, 4\)"):
        of("linear", 0)("wait 2h").members(np.ones(shape))


@every_law
@pytest.mark.parametrize(
    "protocol",
    [
        "edit A > wait 24h > medium M > wait 17h",
        "edit A crispri 0.5 > wait settled",
        "medium N > edit T > wait settled > medium M > edit B crispra > wait 17h",
    ],
)
def test_from_unedited_cells_it_gives_the_state_that_the_compiled_plan_gives(law, protocol):
    law = LAWS[law](8)
    operator = operators(ensemble(law))(protocol)
    planned = states(law, [f"{protocol} > harvest"], FINE, start=np.ones(N_GENES))
    assert distance(operator(operator.unedited[0]), UNIT * planned) < EXACT


def test_both_solvers_agree():
    protocol = "edit A > medium M > wait 7.03125h > medium N > wait 17.109375h"
    laws = ensemble(mechanistic(9), mechanistic(10))
    adaptive = operators(laws, solver=AdaptiveSolver(rtol=1e-8, atol=1e-10))(protocol)
    assert distance(operators(laws)(protocol)(CELLS), adaptive(CELLS)) < EXACT


def test_text_steps_and_experiment_are_the_same_protocol_and_harvests_disturb_nothing():
    steps = (Edit(gene="A"), Wait(hours=24.0), SetMedia(name="M"))
    text = "edit A > wait 24h > medium M"
    harvested = parse_experiment("edit A > wait 24h > harvest day1 > medium M > harvest")
    assert protocol_steps(text) == protocol_steps(steps) == protocol_steps(harvested) == steps
    assert protocol_steps("edit A > wait 24h > harvest > medium M > harvest end") == steps


def test_settled_cells_stay_as_they_are():
    settled = of("mechanistic", 11)("edit A crispri 0.5 > wait settled")
    assert math.isinf(settled.hours)
    once = settled.members(CELLS)
    assert distance(settled.members(once), once) < EXACT


def test_what_remains_after_another_edit_is_refused():
    edited = of("linear", 0)("edit A").condition
    with pytest.raises(ValueError, match="is not .* continued"):
        remaining_history(edited, of("linear", 0)("edit B > wait 2h").condition)
