"""Published forms are cases of the law at its steady state: latent shift, and the linear low-rank baseline."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_data import condition, dataset
from small_laws import FINE, N_GENES, N_REGULATORS, context

from semimech.baselines.baseline import Question
from semimech.baselines.effects import Effects
from semimech.baselines.linear import LowRank
from semimech.experiment import Edit
from semimech.model import (
    ContextArrays,
    LinearDynamics,
    MechanisticDynamics,
    SaturatingRegulation,
    settle,
)

pytestmark = pytest.mark.usefixtures("x64")


def cells_of(law: LinearDynamics, starts: np.ndarray, *edits: Edit) -> np.ndarray:
    """Settled latent states of cells that differ in their own constants."""
    rows = jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], context(*edits))
    own = [eqx.tree_at(lambda law: law.bias, law, jnp.asarray(start)) for start in starts]
    return np.stack([np.asarray(settle(each, jnp.ones((1, N_GENES)), rows, FINE)[0]) for each in own])


@pytest.mark.parametrize("seed", range(3))
def test_latent_shift_is_the_steady_state_of_a_linear_latent_law_that_an_edit_drives(seed):
    """D(E(x) + δ) with δ the difference of latent means is what the law does to each cell, whatever the cell's own state."""
    rng = np.random.default_rng(seed)
    law = LinearDynamics(
        weight=jnp.asarray(rng.uniform(-0.3, 0.3, (N_GENES, N_REGULATORS))),
        bias=jnp.zeros(N_GENES),
        log_degradation=jnp.asarray(np.log(rng.uniform(0.05, 0.25, N_GENES))),
    )
    decode = rng.normal(size=(N_GENES, 12))
    encode = np.linalg.pinv(decode)
    starts = rng.normal(size=(8, N_GENES))
    drive, removal = Edit(gene="B", kind="crispra", efficacy=0.7), Edit(gene="B", kind="knockout", efficacy=1.0)
    before = cells_of(law, starts) @ decode
    error = {}
    for edit in (drive, removal):
        after = cells_of(law, starts, edit) @ decode
        shift = (after[:4] @ encode).mean(axis=0) - (before[:4] @ encode).mean(axis=0)
        error[edit.kind] = np.abs((before @ encode + shift) @ decode - after).max()
    assert error["crispra"] < 1e-8
    assert error["knockout"] > 1e-2  # an edit of an activity multiplies: its shift depends on the cell


def low_rank_baseline(seed: int, n: int = 6) -> tuple[LowRank, np.ndarray]:
    """The baseline fitted to knockouts of all genes, and what it predicts of each, edit by gene."""
    rng = np.random.default_rng(seed)
    response = 0.1 * rng.normal(size=(n, 2)) @ rng.normal(size=(2, n)) + 0.02 * rng.normal(size=n)
    made = [condition("control", 48), *(condition(f"G{i}", 48) for i in range(n))]
    effects = Effects(dataset(made, 1.0 + np.vstack([np.zeros(n), response])))
    baseline = LowRank(effects, rank=2, penalty=1e-3)
    question = Question(made=tuple(c.edits for c in made[1:]), media=(None,), hours=48.0, control=np.ones(n))
    return baseline, baseline.changes(question)


@pytest.mark.parametrize("seed", range(3))
def test_the_low_rank_baseline_is_the_first_order_response_of_a_law_with_low_rank_weights(seed):
    r"""With :math:`W = -R (I - \kappa R)^{-1}`, :math:`\kappa = \varphi'(1)`, a weak knockout moves the settled state by the baseline's map."""
    _, predicted = low_rank_baseline(seed)
    n = len(predicted)
    common = predicted.mean(axis=0)
    response = (predicted - common).T  # gene by edit, of the rank of the baseline
    assert np.linalg.matrix_rank(response, tol=1e-9) <= 2
    slope = 1.0 / (2.0 * np.log(2.0))
    weight = -response @ np.linalg.inv(np.eye(n) - slope * response)
    assert np.linalg.matrix_rank(weight, tol=1e-9) <= 2
    law = MechanisticDynamics(
        regulation=SaturatingRegulation(
            weight=jnp.asarray(weight),
            bias=jnp.zeros(n),
            medium_effect=jnp.zeros((n, 0)),
            edit_effect=jnp.asarray((np.eye(n) - slope * weight) @ common),
            log_headroom=jnp.full(n, np.log(5.0)),
        ),
        log_degradation=jnp.log(jnp.linspace(0.05, 0.3, n)),
        log_transcript=jnp.asarray(0.0),
        log_transcript_gene=jnp.zeros(n),
    )

    def state(gene: int, efficacy: float) -> np.ndarray:
        edited = np.eye(n)[gene]
        rows = ContextArrays(
            activity=1.0 - efficacy * edited[None],
            production=np.ones((1, n)),
            knocked=efficacy * edited[None],
            medium=np.zeros((1, 0)),
            n_edits=np.full((1, 1), efficacy),
        )
        return np.asarray(settle(law, jnp.ones((1, n)), rows, FINE)[0])

    small = 1e-6
    for gene in range(n):
        derivative = (state(gene, small) - state(gene, -small)) / (2 * small)
        np.testing.assert_allclose(derivative, predicted[gene], atol=1e-6)
