from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from semimech.experiment import Context, Edit
from semimech.model import (
    MechanisticDynamics,
    ResidualRegulation,
    Roster,
    SaturatingRegulation,
    context_arrays,
    neural_map,
    thinned,
    wiring,
)
from semimech.model.model import CellModel, ScaleGrid

N_GENES, N_MEMBERS = 400, 2
ROSTER = Roster(genes=tuple(f"G{i}" for i in range(N_GENES)), targets=("T",))


def members(n_edges: int, *, residual: bool = False) -> CellModel:
    """An ensemble of which each member has its own edges, at most so many onto a gene in all members together."""
    rng = np.random.default_rng(0)
    weight = np.zeros((N_MEMBERS, N_GENES, N_GENES + 1), np.float32)
    for gene in range(N_GENES):
        edges = rng.permutation(N_GENES + 1)[: rng.integers(0, n_edges + 1) if gene else n_edges]
        weight[:, gene, edges] = rng.normal(size=(N_MEMBERS, len(edges)))
        weight[0, gene, edges[:1]] = 0.0
    drawn = {
        "bias": (N_GENES,),
        "medium_effect": (N_GENES, 0),
        "edit_effect": (N_GENES,),
        "log_headroom": (N_GENES,),
    }
    laws = []
    for member in range(N_MEMBERS):
        rest = {name: jnp.asarray(0.3 * rng.normal(size=shape), jnp.float32) for name, shape in drawn.items()}
        regulation = SaturatingRegulation(weight=jnp.asarray(weight[member]), **rest)
        if residual:
            correction = neural_map(N_GENES, N_GENES + 1, 0, n_hidden=4, key=jax.random.key(member))
            leave = 0.1 * jnp.ones_like(correction.leave)
            correction = eqx.tree_at(lambda m: m.leave, correction, leave)
            regulation = ResidualRegulation(mechanism=regulation, correction=correction)
        laws.append(
            MechanisticDynamics(
                regulation=regulation,
                log_degradation=jnp.full(N_GENES, -2.0),
                log_transcript=jnp.array(-0.4),
                log_transcript_gene=jnp.zeros(N_GENES),
            )
        )
    grid = np.array([0.0, 1.0], np.float32)
    return CellModel(
        dynamics=jax.tree.map(lambda *leaves: jnp.stack(leaves), *laws),
        log_initial=np.zeros(N_GENES, np.float32),
        unit=np.ones(N_GENES, np.float32),
        scale=ScaleGrid(state=grid, observed=grid),
    )


def drift(models: CellModel) -> np.ndarray:
    edits = [(), (Edit(gene="G3", kind="knockout"),), (Edit(gene="T", kind="knockout"),)]
    contexts = context_arrays([Context(edits=e) for e in edits], ROSTER)
    z = jnp.asarray(np.random.default_rng(1).uniform(0.2, 3.0, (3, N_GENES)), jnp.float32)
    trained, fixed = eqx.partition(models.dynamics, lambda leaf: isinstance(leaf, jax.Array))
    return np.asarray(jax.vmap(lambda t: eqx.combine(t, fixed).drift(z, contexts))(trained))


@pytest.mark.parametrize("residual", [False, True])
def test_a_law_by_edge_drifts_as_the_full_product_does(residual):
    full = members(12, residual=residual)
    by_edge = thinned(full)
    assert wiring(by_edge.dynamics).edges is not None
    np.testing.assert_allclose(drift(by_edge), drift(full), rtol=2e-5, atol=2e-6)


def test_a_law_of_many_edges_per_gene_keeps_its_full_product():
    full = members(N_GENES // 4)
    assert thinned(full) is full
