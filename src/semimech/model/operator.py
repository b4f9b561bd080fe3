r"""The operator of a protocol: from the states of cells at its start to those at its end.

.. math:: F_\pi = F_{c_k,\tau_k} \circ \dots \circ F_{c_1,\tau_1}
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from semimech.data import CellSystem
from semimech.experiment import (
    Condition,
    Context,
    Experiment,
    Harvest,
    Period,
    Step,
    parse_experiment,
    remaining_history,
)
from semimech.model.closure import Moments, advance_moments, settled_covariances
from semimech.model.model import CellModel, split_trained
from semimech.model.plan import ContextArrays, Roster, context_arrays
from semimech.model.settle import settle
from semimech.model.solve import AbstractSolver

Protocol: TypeAlias = Experiment | str | Sequence[Step]
"""What is done to cells: an experiment, its one-line form, or bare steps. Harvests disturb nothing, and may be left out."""

_END = "end of the protocol"


def protocol_steps(protocol: Protocol) -> tuple[Step, ...]:
    """The steps of a protocol, without harvests.

    Raises
    ------
    ExperimentError
        If a text cannot be read.
    """
    if isinstance(protocol, str):
        protocol = parse_experiment(f"{protocol} > harvest {_END}")
    steps = protocol.steps if isinstance(protocol, Experiment) else tuple(protocol)
    return tuple(step for step in steps if not isinstance(step, Harvest))


@dataclass(frozen=True, kw_only=True, eq=False)
class Operator:
    r"""What a protocol makes of cells, whatever their state, by each law of an ensemble.

    ``second @ first`` is both protocols, one after the other: edits of the first stay during the second, and its medium
    does until the second replaces it. Applied step by step it is
    ``second.after(first).members(first.members(states))``, where ``second.after(first) == second`` if the first makes no edit
    and leaves cells in the maintenance medium. Members do not mix: the mean over members is taken at the end only.

    Parameters
    ----------
    laws
        Models of the ensemble, arrays stacked over members.
    roster
        Names of genes, targets and media.
    solver
        How to integrate.
    system
        What was declared about the cells.
    steps
        What is done, without harvests.
    before
        What was done to the cells before; nothing if not given.

    Raises
    ------
    ExperimentError
        If the steps make no experiment, for instance because a gene is edited twice.
    """

    laws: CellModel
    roster: Roster
    solver: AbstractSolver
    system: CellSystem
    steps: tuple[Step, ...]
    before: tuple[Step, ...] = ()

    def __post_init__(self) -> None:
        self.condition  # noqa: B018 — faults are raised where the operator is made

    @cached_property
    def condition(self) -> Condition:
        """History of the cells at the end, with what was done before."""
        return _condition((*self.before, *self.steps), self.system)

    @cached_property
    def periods(self) -> tuple[Period, ...]:
        """Periods that cells go through, first one first; the last may have no hours."""
        return remaining_history(_condition(self.before, self.system), self.condition)

    @property
    def contexts(self) -> tuple[Context, ...]:
        """Contexts that cells go through, first one first; the last is that in which they are left."""
        return tuple(period.context for period in self.periods) or (self.condition.context,)

    @property
    def hours(self) -> float:
        """Duration; infinite if cells are left to settle."""
        return float(sum(period.hours for period in self.periods))

    @property
    def n_members(self) -> int:
        """Laws in the ensemble."""
        return jax.tree.leaves(split_trained(self.laws)[0])[0].shape[0]

    @property
    def unedited(self) -> Float[np.ndarray, "member 1 gene"]:
        """State of unedited cells at the start of every experiment by each member, as `members` takes it."""
        states = np.exp(np.asarray(self.laws.log_initial, np.float64)) * self.laws.unit
        return np.array(np.broadcast_to(states, (self.n_members, len(self.roster.genes))))[:, None]

    def __matmul__(self, first: Operator) -> Operator:
        """Both protocols, the right one first."""
        if first.laws is not self.laws:
            raise ValueError("operators of different models cannot be composed")
        return replace(first, steps=(*first.steps, *self.steps))

    def after(self, first: Operator) -> Operator:
        """The same steps done to cells that another protocol was done to: they carry its edits, in its medium."""
        return replace(self, before=(*first.before, *first.steps))

    def __call__(self, states: Float[np.ndarray, "... gene"]) -> Float[np.ndarray, "... gene"]:
        """States at the end of the protocol, averaged over members.

        Parameters
        ----------
        states
            States of cells at its start, one row each or a single one: expected abundances on the linear scale of the
            training data's state (CP10k for counts). `semimech.fit.FittedModel.scale` turns observed means into states.
        """
        return self.members(states).mean(axis=0)

    def members(self, states: Float[np.ndarray, "... gene"]) -> Float[np.ndarray, "member ... gene"]:
        """States at the end of the protocol by each member.

        Parameters
        ----------
        states
            As in a call; or with a leading axis over members, each member's own states in rows.

        Raises
        ------
        ValueError
            If the states have another number of genes or of members.
        """
        n_genes, n_members = len(self.roster.genes), self.n_members
        is_own = states.ndim == 3
        if states.ndim not in (1, 2, 3) or states.shape[-1] != n_genes or (is_own and len(states) != n_members):
            raise ValueError(
                f"states must have the shape ({n_genes},), (n, {n_genes}) or ({n_members}, n, {n_genes}), "
                f"got {states.shape}"
            )
        own = states if is_own else np.broadcast_to(states, (n_members, *np.atleast_2d(states).shape))
        z = self._relative(own)
        for period in self.periods:
            z = self._advance(z, period)
        ended = np.asarray(z, np.float64) * self.laws.unit
        return ended[:, 0] if states.ndim == 1 else ended

    def moments(
        self,
        mean: Float[np.ndarray, "... gene"],
        covariance: Float[np.ndarray, "... gene gene"],
        *,
        diffusion: Float[np.ndarray, " gene"] | None = None,
    ) -> Moments:
        r"""Mean and covariance of a population at the end of the protocol, by the linear-noise approximation.

        See `semimech.model.closure`. Where cells settle, the covariance is the one that noise keeps up.

        Parameters
        ----------
        mean
            Mean state at the start, as in a call; or each member's own.
        covariance
            Covariance between cells at the start, unit of the state squared; or each member's own.
        diffusion
            Diagonal of :math:`D`, unit of the state squared per hour: noise within cells. None if not given, so that
            cells differ only in where they start.

        Raises
        ------
        ValueError
            If a settled state is not stable.
        """
        trained, fixed = split_trained(self.laws)
        unit, n = self.laws.unit, self.n_members
        noise = jnp.zeros_like(jnp.asarray(unit)) if diffusion is None else self._relative(diffusion / unit)
        means = self._relative(np.broadcast_to(mean, (n, *mean.shape[-1:])))
        covariances = self._relative(np.broadcast_to(covariance, (n, *covariance.shape[-2:])) / unit[:, None])
        for period in self.periods:
            context = _row(context_arrays([period.context], self.roster))
            settling = self.laws.dynamics.settling_hours
            if math.isinf(period.hours) and settling is None:
                means = self._advance(means[:, None], period)[:, 0]
                settled = settled_covariances(trained, fixed, means, noise, context)
                covariances = jnp.asarray(settled, unit.dtype)
            elif period.hours > 0:
                hours = jnp.asarray(settling if math.isinf(period.hours) else period.hours, unit.dtype)
                means, covariances = advance_moments(trained, fixed, means, covariances, noise, context, hours)
        return Moments(
            means=np.asarray(means, np.float64) * unit,
            covariances=np.asarray(covariances, np.float64) * unit * unit[:, None],
        )

    def _relative(self, states: Float[np.ndarray, "... gene"]) -> Float[Array, "... gene"]:
        return jnp.asarray(states / self.laws.unit, self.laws.unit.dtype)

    def _advance(self, z: Float[Array, "member n gene"], period: Period) -> Float[Array, "member n gene"]:
        if period.hours == 0:
            return z
        encoded = context_arrays([period.context], self.roster)
        contexts = jax.tree.map(lambda leaf: np.broadcast_to(leaf, (z.shape[1], leaf.shape[1])), encoded)
        return advance_members(*split_trained(self.laws), z, contexts, self.solver, period.hours)


@eqx.filter_jit
def advance_members(
    trained: CellModel,
    fixed: CellModel,
    states: Float[Array, "member row gene"],
    contexts: ContextArrays,
    solver: AbstractSolver,
    hours: float,
) -> Float[Array, "member row gene"]:
    """Relative states of each member after a period; infinite hours are until settled."""

    def one(trained: CellModel, states: Array) -> Array:
        dynamics = eqx.combine(trained, fixed).dynamics
        if math.isinf(hours):
            return settle(dynamics, states, contexts, solver)
        both_ends = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), contexts)
        return solver.integrate(dynamics, states, both_ends, (0.0, hours))[-1]

    return jax.vmap(one)(trained, states)


def _condition(steps: Sequence[Step], system: CellSystem) -> Condition:
    protocol = Experiment(id="operator", steps=(*steps, Harvest(label=_END)))
    return system.resolve(protocol.conditions[_END])


def _row(contexts: ContextArrays) -> ContextArrays:
    """The first context, without a leading axis."""
    return jax.tree.map(lambda leaf: leaf[0], contexts)
