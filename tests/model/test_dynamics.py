from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import expm
from small_laws import N_GENES, N_MEDIA, N_REGULATORS, START, context, linear, mechanistic, network, states

from semimech.experiment import Edit
from semimech.model import AdaptiveSolver, ExponentialSolver, MechanisticDynamics, NeuralDynamics, unwired_regulation

pytestmark = pytest.mark.usefixtures("x64")

EXACT = {"rtol": 1e-5, "atol": 1e-7}
HOURS = 17.0
both_solvers = pytest.mark.parametrize(
    "solver", [ExponentialSolver(0.05), AdaptiveSolver()], ids=["exponential", "adaptive"]
)


def unwired(*, transcript: float = 0.0) -> MechanisticDynamics:
    """Genes that answer to edits of themselves only."""
    regulation = unwired_regulation(N_GENES, N_REGULATORS, N_MEDIA, dtype=jnp.dtype("float64"))
    law = eqx.tree_at(lambda m: m.regulation, mechanistic(0), regulation)
    transcripts = (jnp.asarray(transcript), jnp.asarray([0.0, 0.1, 0.2, 0.3]))
    return eqx.tree_at(lambda m: (m.log_transcript, m.log_transcript_gene), law, transcripts)


def relaxed(level: np.ndarray, rate: np.ndarray, hours: float = HOURS, start: np.ndarray = START) -> np.ndarray:
    """Exponential approach to a level."""
    return level + (start - level) * np.exp(-rate * hours)


@both_solvers
@pytest.mark.parametrize("efficacy", [0.3, 0.7, 1.0])
@pytest.mark.parametrize(("kind", "sign"), [("crispri", -1), ("crispra", 1)])
def test_expression_relaxes_exponentially_to_the_edited_steady_state(solver, efficacy, kind, sign):
    law = unwired()
    found = states(law, [f"edit B {kind} {efficacy} > wait {HOURS}h > harvest", f"wait {HOURS}h > harvest"], solver)
    level = np.array([1.0, 1.0 + sign * efficacy, 1.0, 1.0])
    np.testing.assert_allclose(found, [relaxed(level, law.decay()), relaxed(np.ones(4), law.decay())], **EXACT)


@pytest.mark.parametrize("efficacy", [0.4, 1.0])
def test_a_knockout_changes_its_own_transcript_by_the_learned_factor(efficacy):
    law = unwired(transcript=-0.9)
    asked = [f"edit C knockout {efficacy} > wait {w} > harvest" for w in (f"{HOURS}h", "settled")]
    level = np.array([1.0, 1.0, 1.0 + efficacy * (np.exp(-0.9 + 0.2) - 1.0), 1.0])
    found = states(law, asked, ExponentialSolver(8.0))
    np.testing.assert_allclose(found, [relaxed(level, law.decay()), level], **EXACT)


def test_a_knockout_of_zero_learned_effect_and_a_drug_leave_the_transcript():
    asked = ["edit A knockout > wait settled > harvest", "edit B drug > wait settled > harvest"]
    np.testing.assert_allclose(states(unwired(), asked, ExponentialSolver()), 1.0, **EXACT)


@both_solvers
@pytest.mark.parametrize("gene", ["A", "T"])
def test_a_target_follows_its_knocked_out_regulator_as_a_single_gene_in_closed_form(solver, gene):
    # The regulator's transcript stays at 1, its activity is gone: the target's drive is -w from the start.
    weight = np.zeros((N_GENES, N_REGULATORS))
    weight[1, {"A": 0, "T": 4}[gene]] = 0.8
    zeros = np.zeros(N_GENES)
    law = mechanistic(0, weight=weight, bias=zeros, edit_effect=zeros, log_headroom=np.full(N_GENES, np.log(5.0)))
    law = eqx.tree_at(lambda m: (m.log_transcript, m.log_transcript_gene), law, (jnp.array(0.0), jnp.zeros(N_GENES)))
    level = np.array([1.0, np.exp(-0.8), 1.0, 1.0])
    found = states(law, [f"edit {gene} > wait {HOURS}h > harvest"], solver, start=np.ones(N_GENES))
    np.testing.assert_allclose(found[0], relaxed(level, law.decay(), start=np.ones(N_GENES)), **EXACT)


@both_solvers
def test_the_linear_law_is_the_exponential_of_its_augmented_matrix(solver):
    law = linear(2)
    edits = (Edit(gene="A", efficacy=0.8), Edit(gene="T"), Edit(gene="C", kind="crispri", efficacy=0.6))
    asked = f"edit A knockout 0.8 > edit T > edit C crispri 0.6 > wait {HOURS}h > harvest"
    matrix, constant = law.coefficients(context(*edits))
    augmented = np.zeros((N_GENES + 1, N_GENES + 1))
    augmented[:N_GENES, :N_GENES], augmented[:N_GENES, N_GENES] = matrix, constant
    exact = (expm(HOURS * augmented) @ np.append(START, 1.0))[:N_GENES]
    found, settled = states(law, [asked, asked.replace(f"{HOURS}h", "settled")], solver)
    np.testing.assert_allclose(found, exact, **EXACT)
    np.testing.assert_allclose(settled, -np.linalg.solve(matrix, constant), **EXACT)


def test_the_coefficients_of_the_linear_law_are_its_drift():
    law, edits = linear(3), (Edit(gene="B", kind="drug", efficacy=0.7), Edit(gene="T", efficacy=0.2))
    matrix, constant = law.coefficients(context(*edits))
    for z in np.random.default_rng(0).uniform(0, 3, (3, N_GENES)):
        np.testing.assert_allclose(law.drift(jnp.asarray(z), context(*edits)), matrix @ z + constant, rtol=1e-6)


def test_without_wiring_nothing_but_edited_genes_move():
    edited = [
        "edit A > wait 48h > harvest",
        "edit A crispri > medium M > wait 48h > harvest",
        "edit T > wait 48h > harvest",
    ]
    found = states(unwired(transcript=-1.0), edited, ExponentialSolver(), start=np.ones(N_GENES))
    assert (found[:2, 0] < 0.7).all()
    np.testing.assert_allclose(found[:, 1:], 1.0, rtol=1e-12)
    np.testing.assert_allclose(found[2], 1.0, rtol=1e-12)


def neural_law(scale: float) -> NeuralDynamics:
    return NeuralDynamics(
        network=network(0, scale=scale),
        rate=0.1,
        log_transcript=jnp.asarray(-0.5),
        log_transcript_gene=jnp.zeros(N_GENES),
    )


def test_a_neural_ode_starts_at_no_change_apart_from_its_own_target():
    edited = ["wait 17h > harvest", "edit B crispri 0.6 > medium M > wait 17h > harvest", "edit B > wait 17h > harvest"]
    found = states(neural_law(0.0), edited, ExponentialSolver(0.05))
    own = [START[1], *(relaxed(np.array(u), np.array(0.1), 17.0, START[1]) for u in (0.4, np.exp(-0.5)))]
    np.testing.assert_allclose(found[:, 1], own, **EXACT)
    np.testing.assert_allclose(np.delete(found, 1, axis=1), np.delete(np.stack([START] * 3), 1, axis=1), rtol=1e-12)


def test_a_neural_ode_settles_for_twelve_time_constants():
    law = neural_law(0.0)
    assert law.settling_hours == pytest.approx(120.0)
    found = states(law, ["edit B crispri > wait settled > harvest"], ExponentialSolver(0.05), start=np.ones(N_GENES))
    assert found[0, 1] == pytest.approx(np.exp(-12.0), rel=1e-3)


@pytest.mark.parametrize("law", ["mechanistic", "linear", "neural"])
def test_drift_is_forcing_minus_decay_in_units_of_the_natural_rate(law):
    law = {"mechanistic": mechanistic, "linear": linear, "neural": lambda: neural_law(0.3)}[law]()
    z, here = jnp.asarray(START), context(Edit(gene="A"))
    np.testing.assert_allclose(law.drift(z, here), law.forcing(z, here) - law.decay() * z, rtol=1e-12)
    assert (np.asarray(law.natural_rate()) > 0).all()


def test_the_half_life_is_what_the_degradation_rate_says():
    law = unwired()
    half_life = float(np.log(2) / law.decay()[0])
    found = states(law, [f"edit A crispri > wait {half_life}h > harvest"], ExponentialSolver(), start=np.ones(N_GENES))
    assert found[0, 0] == pytest.approx(0.5, rel=1e-5)


def test_edits_of_one_gene_and_of_many_see_the_same_law_in_a_batch():
    law = mechanistic(1)
    one, other = context(Edit(gene="A")), context(Edit(gene="B", kind="crispri", efficacy=0.5), medium="M")
    both = jax.tree.map(lambda a, b: np.stack([a, b]), one, other)
    z = jnp.asarray(np.stack([START, START[::-1]]))
    np.testing.assert_allclose(law.drift(z, both), np.stack([law.drift(z[0], one), law.drift(z[1], other)]), rtol=1e-12)
