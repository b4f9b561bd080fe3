"""A data set compiled for fitting: plan, targets, weights and what is known of unedited cells, as arrays."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

import equinox as eqx
import numpy as np
from jaxtyping import Array, Bool, Float

from semimech._errors import ConfigError, DataError, raise_faults
from semimech.data import Dataset
from semimech.experiment import Condition, Context
from semimech.fit.config import Likelihood
from semimech.fit.counts import CountTable, make_counts
from semimech.fit.populations import Populations, make_populations
from semimech.model import ContextArrays, Plan, PriorNetwork, Roster, context_arrays, edge_penalty, make_plan

AppliedStrength: TypeAlias = Literal["none", "point", "mean", "moment"]
_MAX_CONTROL_CELLS = 256
_REACH = (0.3, 10.0)
_HEADROOM = (0.3, 20.0)
_LEAST_START = 1e-3


class Controls(eqx.Module):
    """Unedited cells in the maintenance medium, relative to their mean.

    Parameters
    ----------
    context
        Their context.
    points
        Relative states of single cells, or of the control rows of bulk data.
    covariance
        Covariance of the relative state over genes, measurement noise removed; empty if unknown.
    precision
        One over the squared standard error of each covariance times the number of cells: noise counts.
    """

    context: ContextArrays
    points: Float[np.ndarray, "point gene"]
    covariance: Float[np.ndarray, "known known"]
    precision: Float[np.ndarray, "known known"]


class Problem(eqx.Module):
    """Everything of a data set that a fit needs.

    Parameters
    ----------
    plan
        The conditions, compiled.
    target
        Observed means, then padding to the rows of the plan.
    weight
        Weight of each squared error; averages one, zero in the padding.
    no_change
        Weighted mean squared error of predicting matched controls, without the edited genes: the unit of the data loss.
    unit
        State of unedited cells, the unit of the relative state.
    price
        Relative price of each edge before soft tables count; infinite where forbidden. Where the network is no full matrix
        (`semimech.fit.loss.in_form_of`), of its edges.
    known
        Which edges each soft table of known wiring holds.
    strength
        Factor on edges outside a table that counts once.
    reach
        How far each gene moves in training, in units of the median gene.
    headroom
        How far above one relative production is expected to rise.
    controls
        Unedited cells; ``None`` if there are none or they move, see `CellSystem`.
    populations
        Cells of the edited conditions, for the energy distance; ``None`` without.
    counts
        Sums of counts, for their likelihood; ``None`` without.
    start
        Where experiments start, relative to ``unit``; only a guess where it is learned.
    is_start_known
        Whether it is known from unedited cells, as the system declares; else it is learned.
    """

    plan: Plan
    target: Float[np.ndarray, "row gene"]
    weight: Float[np.ndarray, "row gene"]
    no_change: Float[np.ndarray, ""]
    unit: Float[np.ndarray, " gene"]
    price: Float[Array | np.ndarray, "gene regulator"] | Float[Array | np.ndarray, " edge"]
    known: Bool[np.ndarray, "table gene regulator"] | Bool[np.ndarray, "table edge"]
    strength: Float[np.ndarray, ""]
    reach: Float[np.ndarray, " gene"]
    headroom: Float[np.ndarray, " gene"]
    controls: Controls | None
    populations: Populations | None
    counts: CountTable | None
    start: Float[np.ndarray, " gene"]
    is_start_known: bool = eqx.field(static=True)


def make_roster(dataset: Dataset, conditions: tuple[Condition, ...] | None = None) -> Roster:
    """Names used by a data set, with unmeasured targets taken from its conditions."""
    conditions = dataset.conditions if conditions is None else conditions
    edited = {edit.gene for c in conditions for period in c.history for edit in period.context.edits}
    targets = tuple(sorted(edited - set(dataset.genes)))
    return Roster(genes=dataset.genes, targets=targets, media=dataset.system.media)


def make_problem(
    dataset: Dataset, roster: Roster, prior: PriorNetwork | None, *, likelihood: Likelihood = "pseudobulk", seed: int
) -> Problem:
    """Compile a data set.

    Parameters
    ----------
    dataset
        Training conditions.
    roster
        Names of genes, targets and media.
    prior
        Known wiring, if any.
    likelihood
        ``"energy"`` draws cells of every edited condition too, ``"counts"`` sums the counts of all cells.
    seed
        Seed of the choice of cells.

    Raises
    ------
    DataError
        If counts are asked for and unknown, an energy distance and there are no cells with matched controls, or the start is declared observed
        and was not.
    """
    control = dataset.control_mean()
    state = np.maximum(dataset.scale.to_state(control), 0.0)
    floor = 0.02 * np.median(state[state > 0]) if (state > 0).any() else 1.0
    weight = data_weight(dataset)
    change = dataset.mean - np.stack([dataset.matched_control(c) for c in dataset.conditions])
    scored = ~edited_genes(dataset) & ~dataset.is_control[:, None]
    scored = scored if scored.any() else np.ones(change.shape, dtype=bool)
    no_change = float(np.mean((weight * change**2)[scored]))
    has_controls = bool(dataset.is_stationary_control.any()) and dataset.system.is_stationary
    unit = np.maximum(state, floor).astype(np.float32)
    relative = relative_state(dataset, unit)
    reach = response_reach(relative)
    soft = prior if prior is not None and prior.use == "soft" else None
    plan = make_plan(dataset.conditions, roster)
    padding = ((0, plan.n_rows - len(dataset.conditions)), (0, 0))
    return Problem(
        plan=plan,
        target=np.pad(dataset.mean, padding).astype(np.float32),
        weight=np.pad(weight, padding).astype(np.float32),
        no_change=np.array(max(no_change, 1e-12), np.float32),
        unit=unit,
        price=edge_penalty(prior, roster) / reach[:, None],
        known=np.zeros((0, len(roster.genes), len(roster.regulators)), bool) if soft is None else soft.by_table(roster),
        strength=np.array(1.0 if soft is None else soft.strength, np.float32),
        reach=reach,
        headroom=production_headroom(relative),
        controls=_controls(dataset, roster, unit, seed=seed) if has_controls else None,
        populations=make_populations(dataset, plan, seed=seed) if likelihood == "energy" else None,
        counts=make_counts(dataset, plan, unit=unit, scored=scored) if likelihood == "counts" else None,
        start=relative_start(dataset, unit),
        is_start_known=is_start_known(dataset),
    )


def is_start_known(dataset: Dataset) -> bool:
    """Whether the start is that of measured cells, and not a parameter.

    Raises
    ------
    DataError
        If it is declared observed and was not.
    """
    system = dataset.system
    fault = system.start_fault(dataset.conditions)
    if fault:
        raise DataError(f"{dataset.name}: {fault}: add them, or say start='learned'")
    if system.start_law == "settled":
        return bool(dataset.is_stationary_control.any())
    return system.start_law == "observed"


def relative_start(dataset: Dataset, unit: Float[np.ndarray, " gene"]) -> Float[np.ndarray, " gene"]:
    """State of unedited cells at time 0, if it is declared to be the start or gives a first guess of it; else one."""
    rows = [row for row, condition in enumerate(dataset.conditions) if dataset.system.is_start(condition)]
    if not rows or dataset.system.start_law == "settled":
        return np.ones_like(unit)
    mean = np.average(dataset.mean[rows], axis=0, weights=dataset.n_cells[rows])
    return np.maximum(dataset.scale.to_state(mean) / unit, _LEAST_START).astype(np.float32)


def relative_state(dataset: Dataset, unit: Float[np.ndarray, " gene"]) -> Float[np.ndarray, "condition gene"]:
    """State of each condition relative to unedited cells; NaN for its own edited genes."""
    return np.where(edited_genes(dataset), np.nan, dataset.state / unit)


def response_reach(relative: Float[np.ndarray, "condition gene"]) -> Float[np.ndarray, " gene"]:
    """How far each gene moves from unedited cells in the training conditions, where the median gene moves by one.

    A gene that is silent in unedited cells moves far in relative terms. Its edges take steps, and are priced, in
    proportion, so that a gene's level in unedited cells does not decide whether its regulation is learned.
    """
    size = np.sqrt(_over_conditions(np.nanmean, (relative - 1.0) ** 2))
    typical = float(np.median(size))
    return np.clip(size / typical if typical > 0 else np.ones_like(size), *_REACH).astype(np.float32)


def production_headroom(relative: Float[np.ndarray, "condition gene"]) -> Float[np.ndarray, " gene"]:
    """How far above unedited cells production is expected to rise: twice as far as was seen in training."""
    return np.clip(2.0 * (_over_conditions(np.nanmax, relative) - 1.0), *_HEADROOM).astype(np.float32)


def _over_conditions(
    reduce: Callable[..., np.ndarray], values: Float[np.ndarray, "condition gene"]
) -> Float[np.ndarray, " gene"]:
    """A statistic of each gene over conditions that do not edit it; unedited cells stand in where there are none."""
    known = np.where(np.isfinite(values).any(axis=0), values, 1.0)
    return reduce(known, axis=0)


def edited_genes(dataset: Dataset) -> Bool[np.ndarray, "condition gene"]:
    """Where the own edited genes of a data set's conditions are."""
    return own_genes(dataset.conditions, dataset.genes)


def own_genes(conditions: Sequence[Condition], genes: Sequence[str]) -> Bool[np.ndarray, "condition gene"]:
    """Where each condition's own edited genes are."""
    column = {gene: i for i, gene in enumerate(genes)}
    own = np.zeros((len(conditions), len(genes)), dtype=bool)
    for row, condition in enumerate(conditions):
        own[row, [column[edit.gene] for edit in condition.edits if edit.gene in column]] = True
    return own


def data_weight(dataset: Dataset) -> Float[np.ndarray, "condition gene"]:
    """Weight of each squared error: ``1/(SE² + v)`` with ``v`` the typical squared change, averaging one.

    ``v`` stands for what no model will fit; it keeps a few deeply measured conditions from taking over. Unknown errors are
    those of `Dataset.known_variance`.
    """
    typical = np.mean((dataset.mean - dataset.mean.mean(axis=0)) ** 2)
    weight = 1.0 / (dataset.known_variance + max(float(typical), 1e-12))
    return weight / weight.mean()


def check_strength(dataset: Dataset, strength: AppliedStrength) -> None:
    """Refuse a steady-state loss where its assumption is not declared or its data are missing.

    Raises
    ------
    ConfigError
        If unedited cells are declared to move (`CellSystem`), there are no controls in the maintenance medium, or ``moment`` has no cells.
    """
    if strength == "none":
        return
    faults = []
    if dataset.system.movement:
        faults.append(f"{dataset.system.movement}: use 'none'")
    if not dataset.is_stationary_control.any():
        faults.append("there are no unedited cells in the maintenance medium: name them with control=, or use 'none'")
    elif strength == "moment" and dataset.control_moments is None:
        faults.append("'moment' needs counts of single control cells: use 'point', 'mean' or 'none'")
    raise_faults(ConfigError, f"steady-state loss {strength!r}", faults)


def lyapunov_step(half_life_hours: float) -> float:
    """Step of the Cayley transform, in hours, for the expected half-life."""
    return 0.8 * half_life_hours / math.log(2)


def _controls(dataset: Dataset, roster: Roster, unit: Float[np.ndarray, " gene"], *, seed: int) -> Controls:
    context = context_arrays([Context()], roster)
    context = ContextArrays(**{name: value[0] for name, value in vars(context).items()})
    rows = np.flatnonzero(dataset.is_stationary_control)
    if dataset.cells is None:
        points = dataset.state[rows] / unit
    else:
        cells = np.flatnonzero(np.isin(dataset.cells.condition, rows))
        chosen = np.random.default_rng(seed).permutation(cells)[:_MAX_CONTROL_CELLS]
        linear = np.expm1(dataset.cells.take(np.sort(chosen)))
        points = linear / np.maximum(linear.mean(axis=0), 1e-6)
    moments = dataset.control_moments
    covariance, variance = np.zeros((0, 0)), np.zeros(0)
    if moments is not None:
        covariance, variance = moments.covariance, np.diagonal(moments.covariance) + moments.noise
    return Controls(
        context=context,
        points=points.astype(np.float32),
        covariance=covariance.astype(np.float32),
        precision=(1.0 / np.outer(variance, variance)).astype(np.float32),
    )
