r"""The structural causal model of a law: its settled state, linearised, as equations that interventions replace row by row.

.. math:: x = A x + c, \qquad A = I + \mathrm{diag}(1/\delta)\,\partial f/\partial x
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from graphlib import CycleError, TopologicalSorter

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from semimech.model.dynamics import AbstractDynamics, LinearDynamics, in_full
from semimech.model.plan import ContextArrays
from semimech.model.settle import settle
from semimech.model.solve import AbstractSolver

_UNSETTLED = 1e-3


@dataclass(frozen=True, kw_only=True, eq=False)
class LinearSCM:
    r"""A linear structural causal model, acyclic or cyclic.

    Each gene has one equation, :math:`x_g = \sum_j A_{gj} x_j + c_g`; a perfect intervention replaces the equation of its gene and
    leaves all others (Pearl 2009, Causality, section 3.2; with cycles Hyttinen, Eberhardt & Hoyer 2012, JMLR 13:3387).

    Parameters
    ----------
    genes
        Names of the variables.
    matrix
        :math:`A`, row target, column cause; the diagonal is self-regulation.
    constant
        :math:`c`.

    Raises
    ------
    ValueError
        If :math:`I - A` is singular, so that there is no one settled state.
    """

    genes: tuple[str, ...]
    matrix: Float[np.ndarray, "gene gene"]
    constant: Float[np.ndarray, " gene"]

    def __post_init__(self) -> None:
        if np.linalg.matrix_rank(np.eye(len(self.genes)) - self.matrix) < len(self.genes):
            raise ValueError("I - A is singular: the equations have no one solution; a loop has a gain of exactly 1")

    @cached_property
    def total_effects(self) -> Float[np.ndarray, "gene gene"]:
        """Change of each gene (row) at the settled state per change of the constant of each gene (column), ``(I - A)⁻¹``."""
        return np.linalg.inv(np.eye(len(self.genes)) - self.matrix)

    @cached_property
    def state(self) -> Float[np.ndarray, " gene"]:
        """The settled state."""
        return np.linalg.solve(np.eye(len(self.genes)) - self.matrix, self.constant)

    @cached_property
    def order(self) -> tuple[str, ...] | None:
        """Genes with causes before their effects; ``None`` if there is feedback, of a gene on itself included."""
        causes = {g: {self.genes[j] for j in np.flatnonzero(self.matrix[i])} for i, g in enumerate(self.genes)}
        try:
            return tuple(TopologicalSorter(causes).static_order())
        except CycleError:
            return None

    @property
    def is_acyclic(self) -> bool:
        """Whether the graph is a DAG."""
        return self.order is not None

    def do(self, values: Mapping[str, float]) -> LinearSCM:
        """The model after perfect interventions: rows of these genes removed, the genes set to values.

        Raises
        ------
        ValueError
            Naming every gene that the model does not have.
        """
        unknown = sorted(set(values) - set(self.genes))
        if unknown:
            raise ValueError(
                f"genes that the model does not have: {', '.join(unknown)}; it has {', '.join(self.genes)}"
            )
        matrix, constant = self.matrix.copy(), self.constant.copy()
        for gene, value in values.items():
            row = self.genes.index(gene)
            matrix[row], constant[row] = 0.0, value
        return replace(self, matrix=matrix, constant=constant)

    def as_dynamics(self, degradation: Float[np.ndarray, " gene"] | float = 1.0) -> LinearDynamics:
        r"""The linear law that settles as the model says, :math:`dx/dt = \mathrm{diag}(\delta)(A x + c - x)`, whatever the pace of each gene.

        Parameters
        ----------
        degradation
            :math:`\delta`, per hour; an SCM says nothing of it.

        Raises
        ------
        ValueError
            If a degradation is not above 0.
        """
        rate = np.broadcast_to(np.asarray(degradation, np.float64), len(self.genes))
        if not (rate > 0).all():
            raise ValueError(f"degradation must be above 0, got {degradation}")
        return LinearDynamics(
            weight=jnp.asarray(self.matrix),
            bias=jnp.asarray(self.constant + self.matrix.sum(axis=1) - 1.0),
            log_degradation=jnp.log(jnp.asarray(rate)),
        )


def linearise(
    dynamics: AbstractDynamics,
    start: Float[Array | np.ndarray, " gene"],
    context: ContextArrays,
    solver: AbstractSolver,
    *,
    genes: tuple[str, ...],
) -> LinearSCM:
    """The structural causal model around the settled state of one law in one context, relative abundances.

    Where the law is linear it is the law; elsewhere its total effects are the law's first-order responses.

    Parameters
    ----------
    dynamics
        The law.
    start
        Relative state that cells settle from.
    context
        What acts on them, without leading axes.
    solver
        How to integrate, where a law has to be integrated to settle.
    genes
        Names of the genes.

    Raises
    ------
    ValueError
        If cells do not settle from there.
    """
    rows = jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], context)
    state = settle(dynamics, jnp.asarray(start)[None], rows, solver)[0]
    rate = dynamics.natural_rate()
    drift = np.asarray(dynamics.drift(state, context) / rate)
    if not np.abs(drift).max() <= _UNSETTLED * max(1.0, float(jnp.abs(state).max())):
        raise ValueError("cells do not settle in this context: there is no steady state to linearise around")
    law = in_full(dynamics)
    forced = jax.jacfwd(lambda z: law.forcing(z, context))(state)
    # Where the natural rate is the decay their difference is zero to the last digit, and no edge of a gene on itself is made up.
    own = jnp.diag(1.0 - dynamics.decay() / rate)
    matrix, settled = np.asarray(forced / rate[:, None] + own, np.float64), np.asarray(state, np.float64)
    return LinearSCM(genes=genes, matrix=matrix, constant=settled - matrix @ settled)
