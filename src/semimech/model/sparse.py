"""Laws whose network has few edges per gene, multiplied out edge by edge instead of as a full matrix."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from semimech.model.dynamics import MechanisticDynamics
from semimech.model.model import CellModel
from semimech.model.plan import ContextArrays
from semimech.model.regulation import (
    AbstractRegulation,
    ResidualRegulation,
    SaturatingRegulation,
    regulator_signal,
)

_MANY_REGULATORS = 300
"""Below this a full product is fast enough whatever it holds."""
_EDGE_COST = 8
"""One edge costs about as much as so many entries of a full product (measured on two cores, 256 courses)."""
_TOGETHER = 32


class SparseRegulation(AbstractRegulation):
    r"""`SaturatingRegulation` with the weights kept by edge.

    Parameters
    ----------
    mechanism
        All but the weights, of which it holds none.
    weight
        :math:`W_{gj}` of the edges onto each gene; zero where a gene has fewer than the most.
    regulator
        Their regulators :math:`j`.
    """

    mechanism: SaturatingRegulation
    weight: Float[Array, "*member gene edge"]
    regulator: Int[np.ndarray, "gene edge"]

    def __call__(self, z: Float[Array, "*n gene"], context: ContextArrays) -> Float[Array, "*n gene"]:
        signal = regulator_signal(z, context)
        # Genes first, so that what is gathered for an edge lies together.
        by_regulator = signal.reshape(-1, signal.shape[-1]).T

        def add(total: Array, edge: tuple[Array, Array]) -> tuple[Array, None]:
            weight, regulator = edge
            return total + weight[:, None] * by_regulator[regulator], None

        edges = (self.weight.T, jnp.asarray(self.regulator.T))
        start = jnp.zeros((len(self.regulator), by_regulator.shape[1]), signal.dtype)
        drive = jax.lax.scan(add, start, edges, unroll=min(_TOGETHER, self.regulator.shape[1]))[0]
        return self.mechanism.saturated(drive.T.reshape(z.shape), context)


def thinned(members: CellModel) -> CellModel:
    """The same laws, by edge where that is faster: many regulators, few of them of each gene.

    Parameters
    ----------
    members
        Models of an ensemble, arrays stacked over members.
    """
    dynamics = members.dynamics
    if not isinstance(dynamics, MechanisticDynamics):
        return members
    outer = dynamics.regulation
    mechanism = outer.mechanism if isinstance(outer, ResidualRegulation) else outer
    if not isinstance(mechanism, SaturatingRegulation) or mechanism.weight.shape[-1] < _MANY_REGULATORS:
        return members
    weight = np.asarray(mechanism.weight)
    has_edge = (weight != 0).any(axis=0)
    n_edges = max(int(has_edge.sum(axis=1).max()), 1)
    if n_edges * _EDGE_COST > weight.shape[-1]:
        return members
    regulator = np.argsort(~has_edge, axis=1, kind="stable")[:, :n_edges]
    kept = np.take_along_axis(weight, regulator[None], axis=2)
    sparse = SparseRegulation(
        mechanism=eqx.tree_at(lambda m: m.weight, mechanism, jnp.asarray(weight[..., :0])),
        weight=jnp.asarray(kept),
        regulator=regulator.astype(np.int32),
    )
    place = (lambda m: m.dynamics.regulation.mechanism) if outer is not mechanism else (lambda m: m.dynamics.regulation)
    return eqx.tree_at(place, members, sparse)
