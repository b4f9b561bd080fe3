"""The numbers of a finished fit: residuals, what of them is carried over, and calibrated intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import jax
import numpy as np
from jaxtyping import Bool, Float

from semimech.data import Dataset
from semimech.experiment import Condition
from semimech.fit.calibrate import calibrate
from semimech.fit.config import FitConfig
from semimech.fit.donors import nothing_lent
from semimech.fit.fitted import prediction_solver
from semimech.fit.held_out import BETWEEN, LAW_ALONE, changes_of, find_shares, shrunk
from semimech.fit.members import predict_members
from semimech.fit.problem import edited_genes
from semimech.fit.record import Fit
from semimech.fit.select import Selection
from semimech.fit.train import Training
from semimech.fit.weights import KnownWeights
from semimech.model import CellModel, PriorNetwork, Roster, harvest_times, make_plan

_ASKED = 300


def finished_numbers(
    dataset: Dataset,
    training: Training,
    selection: Selection,
    tests: Sequence[Bool[np.ndarray, " condition"]],
    models: CellModel,
    config: FitConfig,
) -> Fit:
    """Residuals, what of them is carried over, and calibrations; the last models held conditions out."""
    n_conditions, n_tests, solver = len(dataset.conditions), len(tests), prediction_solver(config)
    predicted = predict_members(models, training.problem.plan, solver)[:, :n_conditions].astype(np.float64)
    n_members = len(predicted) - n_tests
    own = edited_genes(dataset)
    control = np.stack([dataset.matched_control(c) for c in dataset.conditions])
    residual = dataset.mean - predicted[:n_members].mean(axis=0)
    fitted = calibrate(residual, dataset.mean - residual - control, own)
    unseen = fitted
    if np.isfinite(selection.held_out).all(axis=1).any():
        unseen = calibrate(dataset.mean - selection.held_out, selection.held_out - control, own)

    def ask(run: int) -> Callable[[Sequence[Condition]], Float[np.ndarray, "condition gene"]]:
        model = jax.tree.map(lambda leaf: leaf[run : run + 1] if isinstance(leaf, jax.Array) else leaf, models)

        def answer(asked: Sequence[Condition]) -> Float[np.ndarray, "condition gene"]:
            plan = make_plan(asked, training.roster, times=harvest_times(dataset.conditions))
            return predict_members(model, plan, solver)[0, : len(asked)].astype(np.float64)

        return answer

    untested, missed = LAW_ALONE if config.pooling == "none" else BETWEEN, (residual**2).mean(axis=0)
    shares = find_shares(
        dataset,
        tests,
        list(predicted[n_members:]),
        [ask(n_members + number) for number in range(n_tests)],
        untested=untested,
        between=lambda: line_share(dataset, missed, ask(0), most=untested.between),
    )
    later = shares.widths.get("later", unseen)
    late = shares.widths.get("late", later)
    seen = shares.widths.get("seen", late if "later" in shares.widths else fitted)
    return Fit(
        members=jax.tree.map(lambda leaf: leaf[:n_members] if isinstance(leaf, jax.Array) else leaf, models),
        control=dataset.control_mean().astype(np.float32),
        residual=shrunk(dataset, residual).astype(np.float32),
        missed=missed.astype(np.float32),
        carry_over=shares.carry_over.astype(np.float32),
        change=changes_of(dataset).astype(np.float32),
        compose=shares.compose.astype(np.float32),
        trust=np.array(selection.trust, np.float32),
        lent=nothing_lent(len(dataset.genes)),
        edges=np.zeros((2, 0), np.int32),
        seen=seen,
        late=late,
        later=later,
        parts=shares.widths.get("parts", unseen),
        unseen=unseen,
    )


def line_share(
    dataset: Dataset,
    missed: Float[np.ndarray, " gene"],
    ask: Callable[[Sequence[Condition]], Float[np.ndarray, "asked gene"]],
    *,
    most: float,
) -> float:
    r"""How far predictions between two harvests go to the line through them, where there is none between to hold out: :math:`m\,v / (v + b^2)`.

    A line through noisy means averages their noise :math:`v` and knows nothing of how a course bends; the law says by how much, :math:`b`, half way between harvests. Where it bends by more than
    means err, it is followed; where less, up to the share ``most`` of the line. Without two harvests of a course, ``most``.

    Parameters
    ----------
    dataset
        Training conditions.
    missed
        Mean square of what the law misses of them.
    ask
        What the law says of conditions.
    most
        The share for data that are all noise.
    """
    pairs: dict[object, Condition] = {}
    if most == 0.0:
        return most
    asked: list[Condition] = []
    for condition in dataset.conditions:
        key = (condition.history[:-1], condition.history[-1].context)
        if condition.is_control or not np.isfinite(condition.hours):
            continue
        if key in pairs and pairs[key].hours != condition.hours and len(asked) < _ASKED:
            ends = [each.history[-1].hours for each in (pairs[key], condition)]
            middle = replace(condition.history[-1], hours=sum(ends) / 2)
            asked += [pairs[key], Condition(history=(*condition.history[:-1], middle)), condition]
        pairs[key] = condition
    if not asked:
        return most
    first, middle_of, second = np.moveaxis(ask(asked).reshape(-1, 3, len(dataset.genes)), 1, 0)
    bend = float(((middle_of - (first + second) / 2) ** 2).mean())
    noise = float(missed.mean())
    return most * noise / max(noise + bend, 1e-300)


def with_known_edges(
    numbers: Fit,
    dataset: Dataset,
    roster: Roster,
    held_out: Float[np.ndarray, "condition gene"],
    folds: Sequence[Bool[np.ndarray, " condition"]],
    prior: PriorNetwork | None,
) -> Fit:
    """Intervals of unseen edits that widen where the weights of known edges are open, as far as held-out edits show that they should."""
    if prior is None or not np.isfinite(held_out).all(axis=1).any():
        return numbers
    edges = np.stack(np.nonzero(prior.known(roster))).astype(np.int32)
    control = np.stack([dataset.matched_control(c) for c in dataset.conditions])
    change, left_open = held_out - control, np.zeros_like(dataset.mean)
    for fold in folds:
        kept, out = np.flatnonzero(~fold), np.flatnonzero(fold & np.isfinite(change).all(axis=1))
        weights = KnownWeights(
            roster=roster,
            scale=dataset.scale,
            control=numbers.control,
            training=[dataset.conditions[row] for row in kept],
            change=numbers.change[kept],
            noise=numbers.missed,
            edges=edges,
        )
        left_open[out] = weights.left_open([dataset.conditions[row] for row in out], change[out])
    unseen = calibrate(dataset.mean - held_out, change, edited_genes(dataset), left_open)
    return replace(numbers, edges=edges, unseen=unseen)
