"""A law at its settled state is a structural causal model: on linear laws exactly, on others to first order."""

from __future__ import annotations

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array
from small_laws import FINE, N_GENES, N_REGULATORS, ROSTER, context, mechanistic

from semimech.experiment import Edit
from semimech.model import AbstractDynamics, ContextArrays, LinearDynamics, LinearSCM, linearise, settle

pytestmark = pytest.mark.usefixtures("x64")

GENES = ROSTER.genes
EXACT = 1e-10


def linear(seed: int, *, acyclic: bool = False) -> LinearDynamics:
    """A stable linear law; with causes before effects in the order of genes if it is acyclic."""
    rng = np.random.default_rng(seed)
    weight = rng.uniform(-0.4, 0.4, (N_GENES, N_REGULATORS))
    if acyclic:
        weight[:, :N_GENES] = np.tril(weight[:, :N_GENES], -1)
    return LinearDynamics(
        weight=jnp.asarray(weight),
        bias=jnp.asarray(0.2 * rng.normal(size=N_GENES)),
        log_degradation=jnp.asarray(np.log(rng.uniform(0.05, 0.25, N_GENES))),
    )


def settled(law, **where) -> np.ndarray:
    rows = jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], context(*where.pop("edits", ()), **where))
    return np.asarray(settle(law, jnp.ones((1, N_GENES)), rows, FINE)[0])


def scm(law, **where) -> LinearSCM:
    return linearise(law, np.ones(N_GENES), context(*where.pop("edits", ()), **where), FINE, genes=GENES)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("acyclic", [True, False])
def test_the_model_of_a_linear_law_is_its_network_and_settles_where_it_does(seed, acyclic):
    law = linear(seed, acyclic=acyclic)
    found = scm(law)
    np.testing.assert_allclose(found.matrix, law.weight[:, :N_GENES], atol=EXACT)
    np.testing.assert_allclose(found.state, settled(law), atol=EXACT)
    assert found.is_acyclic == acyclic


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("acyclic", [True, False])
@pytest.mark.parametrize("gene", GENES)
def test_a_full_knockout_in_a_linear_law_is_do_zero_for_all_other_genes(seed, acyclic, gene):
    law = linear(seed, acyclic=acyclic)
    edited = settled(law, edits=(Edit(gene=gene, kind="knockout", efficacy=1.0),))
    others = [i for i, name in enumerate(GENES) if name != gene]
    np.testing.assert_allclose(scm(law).do({gene: 0.0}).state[others], edited[others], atol=EXACT)


@pytest.mark.parametrize("acyclic", [True, False])
def test_a_linear_model_as_a_law_settles_in_its_state_and_an_edit_there_is_an_intervention_here(acyclic):
    found = scm(linear(7, acyclic=acyclic))
    law = found.as_dynamics(np.array([0.02, 0.1, 0.5, 1.0]))
    law = eqx.tree_at(lambda law: law.weight, law, jnp.pad(law.weight, ((0, 0), (0, N_REGULATORS - N_GENES))))
    np.testing.assert_allclose(settled(law), found.state, atol=EXACT)
    edited = settled(law, edits=(Edit(gene="B", kind="knockout", efficacy=1.0),))
    np.testing.assert_allclose(edited[[0, 2, 3]], found.do({"B": 0.0}).state[[0, 2, 3]], atol=EXACT)
    with pytest.raises(ValueError, match="above 0, got -1"):
        found.as_dynamics(-1.0)


@pytest.mark.parametrize("seed", range(5))
def test_an_intervention_on_two_genes_is_that_on_one_and_then_on_the_other(seed):
    found = scm(linear(seed))
    both = found.do({"A": 0.3, "C": 2.0})
    again = found.do({"C": 2.0}).do({"A": 0.3})
    np.testing.assert_array_equal(both.matrix, again.matrix)
    assert both.state[[0, 2]] == pytest.approx([0.3, 2.0], abs=EXACT)


@pytest.mark.parametrize("seed", range(5))
def test_in_a_dag_an_intervention_changes_descendants_only(seed):
    found = scm(linear(seed, acyclic=True))
    assert found.order is not None
    moved = np.abs(found.do({"B": found.state[1] + 1.0}).state - found.state) > EXACT
    assert moved.tolist() == [False, True, True, True]


def paths(matrix: np.ndarray, source: int, target: int) -> float:
    """Sum over directed paths of the products of their edges."""
    others = [g for g in range(len(matrix)) if g not in (source, target)]
    total = 0.0
    for length in range(len(others) + 1):
        for between in itertools.permutations(others, length):
            steps = (source, *between, target)
            total += float(np.prod([matrix[b, a] for a, b in itertools.pairwise(steps)]))
    return total


@pytest.mark.parametrize("seed", range(5))
def test_total_effects_in_a_dag_are_sums_over_paths(seed):
    found = scm(linear(seed, acyclic=True))
    for source, target in itertools.permutations(range(N_GENES), 2):
        assert found.total_effects[target, source] == pytest.approx(paths(found.matrix, source, target), abs=EXACT)


class Pushed(AbstractDynamics):
    """A law with a constant added to the drift of each gene, in units of its natural rate."""

    law: AbstractDynamics
    push: Array

    @property
    def settling_hours(self) -> None:
        return None

    def decay(self) -> Array:
        return self.law.decay()

    def natural_rate(self) -> Array:
        return self.law.natural_rate()

    def forcing(self, z: Array, context: ContextArrays) -> Array:
        return self.law.forcing(z, context) + self.natural_rate() * self.push


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("residual", [False, True])
def test_total_effects_are_first_order_responses_of_any_law(seed, residual):
    law = mechanistic(seed, strength=0.2, residual=residual)

    def pushed(push: np.ndarray) -> np.ndarray:
        return settled(Pushed(law=law, push=jnp.asarray(push)), medium="M")

    found, small = scm(law, medium="M"), 1e-5
    np.testing.assert_allclose(found.state, settled(law, medium="M"), atol=1e-9)
    for gene in range(N_GENES):
        push = small * np.eye(N_GENES)[gene]
        response = (pushed(push) - pushed(-push)) / (2 * small)
        np.testing.assert_allclose(found.total_effects[:, gene], response, atol=1e-4)


def test_loops_of_gain_one_and_unknown_genes_are_refused():
    with pytest.raises(ValueError, match="singular"):
        LinearSCM(genes=("A", "B"), matrix=np.array([[0.0, 1.0], [1.0, 0.0]]), constant=np.zeros(2))
    with pytest.raises(ValueError, match="does not have: X, Y; it has A, B"):
        LinearSCM(genes=("A", "B"), matrix=np.zeros((2, 2)), constant=np.zeros(2)).do({"Y": 1.0, "X": 0.0})


def test_a_law_that_does_not_settle_is_refused():
    runaway = eqx.tree_at(lambda law: law.weight, linear(0), 3.0 * jnp.ones((N_GENES, N_REGULATORS)))
    with pytest.raises(ValueError, match="do not settle"):
        scm(runaway)
