"""The laws that the cell operator obeys whatever the parameters, with both solvers (≤ 1e-5 relative)."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from small_laws import N_GENES, ROSTER, START, linear, mechanistic, neural, states

from semimech.model import AdaptiveSolver, ExponentialSolver, MechanisticDynamics

pytestmark = pytest.mark.usefixtures("x64")

EXACT = 1e-5
SOLVERS = [
    pytest.param(ExponentialSolver(0.05), id="exponential"),
    pytest.param(AdaptiveSolver(rtol=1e-8, atol=1e-10), id="adaptive"),
]
LAWS = {
    "mechanistic": mechanistic,
    "with residual": lambda seed: mechanistic(seed, residual=True),
    "neural": neural,
    "linear": linear,
}
both_solvers = pytest.mark.parametrize("solver", SOLVERS)
every_law = pytest.mark.parametrize("law", LAWS)

SEEDS = st.integers(0, 10_000)
EDITS = st.tuples(
    st.sampled_from(ROSTER.regulators),
    st.sampled_from(["knockout", "crispri", "crispra", "drug"]),
    st.floats(0.1, 1.0).map(lambda x: round(x, 3)),
).map(lambda edit: "edit {} {} {}".format(*edit))
MEDIA = st.sampled_from(["medium M > ", "medium N > ", ""])
some = settings(max_examples=8)

SHORT, LONG, BOTH = "wait 7.03125h", "wait 17.109375h", "wait 24.140625h"  # sums are exact
_SAME_TIMES = [f"{wait} > harvest" for wait in (SHORT, LONG, BOTH)]


def after(law, protocols, solver, *, start=START) -> np.ndarray:
    """States after protocols of these waits; all share one grid of times, and so one compiled program."""
    return states(law, [*protocols, *_SAME_TIMES], solver, start=start)[: len(protocols)]


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """Largest difference relative to the size of each state."""
    return float((np.abs(a - b).max(axis=-1) / np.abs(b).max(axis=-1)).max())


@every_law
@both_solvers
@some
@given(seed=SEEDS, edit=EDITS, medium=MEDIA)
def test_waiting_for_no_time_changes_nothing(law, solver, seed, edit, medium):
    asked = [f"{edit} > {medium}harvest", f"{medium}{edit} > wait 0h > harvest", "wait 0h > harvest"]
    assert (after(LAWS[law](seed), asked, solver) == START).all()


@every_law
@both_solvers
@some
@given(seed=SEEDS, edit=EDITS, medium=MEDIA)
def test_waiting_twice_is_waiting_once_for_the_sum(law, solver, seed, edit, medium):
    law = LAWS[law](seed)
    midway = after(law, [f"{edit} > {medium}{SHORT} > harvest"], solver)[0]
    composed = after(law, [f"{edit} > {medium}{LONG} > harvest"], solver, start=midway)
    assert distance(composed, after(law, [f"{edit} > {medium}{BOTH} > harvest"], solver)) < EXACT


@every_law
@both_solvers
@some
@given(seed=SEEDS, edits=st.tuples(EDITS, EDITS).filter(lambda e: e[0].split()[1] != e[1].split()[1]))
def test_a_protocol_is_the_composition_of_its_steps_in_each_context(law, solver, seed, edits):
    law = LAWS[law](seed)
    first, second = edits
    whole = after(law, [f"medium M > {first} > {SHORT} > medium N > {second} > {LONG} > harvest"], solver)
    midway = after(law, [f"medium M > {first} > {SHORT} > harvest"], solver)[0]
    composed = after(law, [f"medium N > {first} > {second} > {LONG} > harvest"], solver, start=midway)
    assert distance(composed, whole) < EXACT


@both_solvers
@some
@given(seed=SEEDS, edit=EDITS)
def test_harvests_in_between_do_not_disturb_the_cells(solver, seed, edit):
    law = mechanistic(seed)
    steps = [edit, SHORT, "harvest a", "wait 10.078125h", "harvest b", "medium N", SHORT, "harvest c"]
    harvested = [" > ".join(steps[: n + 1]) for n, step in enumerate(steps) if step.startswith("harvest")]
    undisturbed = states(law, [f"{edit} > {LONG} > medium N > {SHORT} > harvest"], solver)
    assert distance(after(law, harvested, solver)[-1:], undisturbed) < EXACT


@every_law
@both_solvers
@some
@given(seed=SEEDS, gene=st.sampled_from(ROSTER.regulators), kind=st.sampled_from(["knockout", "crispri", "crispra"]))
def test_an_edit_without_efficacy_changes_nothing(law, solver, seed, gene, kind):
    asked = [f"edit {gene} {kind} 0 > {SHORT} > medium M > {LONG} > harvest", f"{SHORT} > medium M > {LONG} > harvest"]
    null, none = after(LAWS[law](seed), asked, solver)
    assert distance(null, none) < 1e-12


@every_law
@both_solvers
def test_an_edit_stays_when_the_medium_changes(law, solver):
    law = LAWS[law](3)
    before = after(law, [f"edit A crispri > {SHORT} > harvest"], solver)[0]
    asked = [f"edit A crispri > medium M > {LONG} > harvest", f"medium M > {LONG} > harvest"]
    stayed, gone = after(law, asked, solver, start=before)
    whole = after(law, [f"edit A crispri > {SHORT} > medium M > {LONG} > harvest"], solver)[0]
    assert distance(stayed, whole) < EXACT
    assert distance(gone, whole) > 1e-2


@pytest.mark.parametrize("law", [name for name in LAWS if name != "linear"])
@both_solvers
def test_a_new_medium_replaces_the_last(law, solver):
    law = LAWS[law](4)
    before = after(law, [f"medium M > {SHORT} > harvest"], solver)[0]
    asked = [f"medium {m} > {LONG} > harvest" for m in ("M > medium N", "N", "M")]
    replaced, only_last, kept = after(law, asked, solver, start=before)
    whole = after(law, [f"medium M > {SHORT} > medium N > {LONG} > harvest"], solver)[0]
    assert distance(replaced, whole) < EXACT
    assert distance(only_last, whole) < EXACT
    assert distance(kept, whole) > 1e-2


def wired(edges: dict[tuple[str, str], float], *, medium: dict[str, float] | None = None) -> MechanisticDynamics:
    """A law with these edges (source, target) only; each medium effect is of medium M."""
    weight = np.zeros((N_GENES, len(ROSTER.regulators)))
    for (source, target), value in edges.items():
        weight[ROSTER.genes.index(target), ROSTER.regulators.index(source)] = value
    effect = np.zeros((N_GENES, len(ROSTER.media)))
    for gene, value in (medium or {}).items():
        effect[ROSTER.genes.index(gene), 0] = value
    return mechanistic(0, weight=weight, medium_effect=effect, bias=np.zeros(N_GENES), edit_effect=np.zeros(N_GENES))


ORDERS = [f"edit A > {SHORT} > medium M > {LONG} > harvest", f"medium M > {SHORT} > edit A > {LONG} > harvest"]


@both_solvers
def test_edit_then_medium_differs_from_medium_then_edit_when_the_medium_drives_the_targets_regulator(solver):
    # The medium raises A, and A raises B; before its knockout A has time to do so only in the second order.
    law = wired({("A", "B"): 1.0}, medium={"A": 1.0})
    edit_first, medium_first = after(law, ORDERS, solver, start=np.ones(N_GENES))
    assert medium_first[1] > edit_first[1] + 0.02
    np.testing.assert_allclose(medium_first[2:], edit_first[2:], rtol=EXACT)


@both_solvers
def test_a_medium_that_reaches_no_regulator_of_a_gene_does_not_touch_it_in_any_order(solver):
    # The medium drives C only, and nothing that C regulates is regulated by A.
    law = wired({("A", "B"): 1.0, ("C", "D"): 0.5}, medium={"C": 1.0})
    in_medium = after(law, ORDERS, solver)
    without = after(law, [protocol.replace("medium M > ", "") for protocol in ORDERS], solver)
    np.testing.assert_allclose(in_medium[:, :2], without[:, :2], rtol=EXACT)
    assert (in_medium[:, 2:] > without[:, 2:] + 0.01).all()


@both_solvers
@some
@given(kinds=st.tuples(*[st.sampled_from(["knockout", "crispri 0.7", "crispra 0.9", "drug 0.4"])] * 2))
def test_edits_of_disjoint_genes_that_do_not_interact_commute(solver, kinds):
    # Modules A ⇄ B and C ⇄ D: each answers to its own edit as if there were no other, whichever came first.
    law = wired({("A", "B"): 0.8, ("B", "A"): -0.6, ("C", "D"): -0.9, ("D", "C"): 0.5})
    a, c = (f"edit {gene} {kind}" for gene, kind in zip("AC", kinds, strict=True))
    pairs = [f"{a} > {SHORT} > {c} > {LONG} > harvest", f"{c} > {SHORT} > {a} > {LONG} > harvest"]
    alone = [f"{a} > {BOTH} > harvest", f"{SHORT} > {c} > {LONG} > harvest"]
    swapped = [f"{SHORT} > {a} > {LONG} > harvest", f"{c} > {BOTH} > harvest"]
    a_first, c_first = after(law, pairs, solver)
    (a_early, c_late), (a_late, c_early) = after(law, alone, solver), after(law, swapped, solver)
    np.testing.assert_allclose(a_first, [*a_early[:2], *c_late[2:]], rtol=EXACT)
    np.testing.assert_allclose(c_first, [*a_late[:2], *c_early[2:]], rtol=EXACT)
    settled = [protocol.replace(LONG, "wait settled") for protocol in pairs]
    np.testing.assert_allclose(*states(law, settled, solver), rtol=EXACT)


@every_law
def test_waiting_after_cells_have_settled_changes_nothing(law):
    # A plain Neural ODE need not have a steady state; one whose network is still zero has.
    law, solver = LAWS[law](5) if law != "neural" else neural(5, scale=0.0), SOLVERS[0].values[0]
    settled = states(law, ["edit A crispri 0.5 > wait settled > harvest"], solver)[0]
    later = after(law, [f"edit A crispri 0.5 > {BOTH} > harvest"], solver, start=settled)[0]
    assert distance(later, settled) < EXACT


@every_law
def test_a_protocol_goes_on_from_the_settled_state_in_its_middle(law):
    law, solver = LAWS[law](6), SOLVERS[0].values[0]
    goes_on = f"medium M > {SHORT} > edit B crispri 0.5 > {LONG} > harvest"
    settled, whole = states(law, ["edit A > wait settled > harvest", f"edit A > wait settled > {goes_on}"], solver)
    composed = after(law, [f"edit A > {goes_on}"], solver, start=settled)[0]
    assert distance(composed, whole) < EXACT


@both_solvers
def test_what_came_before_does_not_matter_to_settled_cells_with_one_attractor(solver):
    here, there = (states(mechanistic(8), ["wait settled > harvest"], solver, start=z) for z in (START, 2.0 * START))
    assert distance(here, there) < EXACT


def test_conditions_predicted_together_are_as_predicted_each_alone():
    law, solver = mechanistic(7), SOLVERS[0].values[0]
    protocols = [
        "edit A > wait 24h > harvest",
        "edit A > wait 24h > medium M > wait 17h > harvest",
        "edit A > wait settled > medium M > wait settled > edit T drug 0.5 > wait 17h > harvest",
        "medium M > wait 7h > medium N > wait settled > harvest",
    ]
    together = states(law, protocols, solver)
    alone = np.concatenate([states(law, [protocol], solver) for protocol in protocols])
    assert distance(together, alone) < EXACT
