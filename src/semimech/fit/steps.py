"""Steps of the optimiser: how far each parameter goes, which may go at all, and the way back from a step too far."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from semimech.fit.loss import ControlNoise, correction
from semimech.model import CellModel, Programmes, rewired, wiring

_NEURAL_PACE = 0.2
_READING_PACE = 0.05
_DRIVES = ("bias", "medium_effect", "edit_effect")
_LOST = 0.5
_PATIENCE = 10


class SafePoint(eqx.Module):
    """Where a run goes back to when it gets lost, at half its pace.

    Adam moves all edges at once, however little the data say of each, and many edges together can cost the law its
    stability; the gradient then points nowhere. The loss tells: it is in units of the error of predicting no change.

    Parameters
    ----------
    point
        Parameters of the lowest loss so far.
    loss
        That loss.
    share
        Share of the full pace that is left.
    n_above
        Steps in a row whose loss was well above the lowest. A short overshoot is left alone: it often leads further down.
    """

    point: Float[Array, "*run parameter"]
    loss: Float[Array, " *run"]
    share: Float[Array, " *run"]
    n_above: Int[Array, " *run"]

    def after(self, point: Float[Array, " parameter"], loss: Float[Array, ""]) -> tuple[SafePoint, Bool[Array, ""]]:
        """The safe point once a point's loss is known, and whether the run is lost there."""
        n_above = jnp.where(loss <= self.loss + _LOST, 0, self.n_above + 1)
        is_lost = (n_above >= _PATIENCE) | ~jnp.isfinite(loss)
        is_better = loss < self.loss
        return SafePoint(
            point=jnp.where(is_better, point, self.point),
            loss=jnp.where(is_better, loss, self.loss),
            share=jnp.where(is_lost, 0.5 * self.share, self.share),
            n_above=jnp.where(is_lost, 0, n_above),
        ), is_lost


def first_point(point: Float[Array, " parameter"]) -> SafePoint:
    """The safe point of a run that has not begun."""
    return SafePoint(point=point, loss=jnp.array(jnp.inf), share=jnp.array(1.0), n_above=jnp.array(0))


def paces(
    stacked: tuple[CellModel, ControlNoise], fixed: CellModel, reach: Float[Array, " gene"]
) -> tuple[CellModel, ControlNoise]:
    """Step size of each parameter relative to the learning rate.

    What drives a gene moves in proportion to the gene's reach; neural weights, and what programmes read, are many and move slower.
    """
    ones = jax.tree.map(lambda leaf: jnp.ones(leaf.shape[1:]), stacked)
    mechanism, shape = wiring(ones[0].dynamics), wiring(fixed.dynamics)
    if mechanism is not None and shape is not None:
        drives = lambda m: [getattr(m, name) for name in _DRIVES]
        wide = [(leaf.T * reach).T for leaf in drives(mechanism)]
        of_edges = reach[:, None] if shape.edges is None else reach[shape.edges.gene]
        mechanism = eqx.tree_at(lambda m: [m.weight, *drives(m)], mechanism, [mechanism.weight * of_edges, *wide])
        if mechanism.programmes is not None:
            paced = Programmes(
                reading=_READING_PACE * mechanism.programmes.reading,
                writing=mechanism.programmes.writing * reach[:, None],
            )
            mechanism = eqx.tree_at(lambda m: m.programmes, mechanism, paced)
        ones = (rewired(ones[0], mechanism), ones[1])
    network = correction(ones[0].dynamics)
    if network is None:
        return ones
    slow = jax.tree.map(lambda leaf: _NEURAL_PACE * leaf, network)
    return eqx.tree_at(lambda pair: correction(pair[0].dynamics), ones, slow)


def free(
    stacked: tuple[CellModel, ControlNoise], is_allowed: Bool[Array, "gene regulator"] | Bool[Array, " edge"]
) -> tuple[CellModel, ControlNoise]:
    """One for each parameter that may move: forbidden edges stay zero."""
    ones = jax.tree.map(lambda leaf: jnp.ones(leaf.shape[1:]), stacked)
    if wiring(ones[0].dynamics) is None:
        return ones
    return eqx.tree_at(lambda pair: wiring(pair[0].dynamics).weight, ones, is_allowed.astype(jnp.float32))  # type: ignore[union-attr]
