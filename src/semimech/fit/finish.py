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
from semimech.fit.problem import edited_genes
from semimech.fit.record import Fit
from semimech.fit.select import Selection
from semimech.fit.train import Training, predict_members
from semimech.fit.weights import KnownWeights
from semimech.model import CellModel, PriorNetwork, Roster, harvest_times, make_plan


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

    shares = find_shares(
        dataset,
        tests,
        list(predicted[n_members:]),
        [ask(n_members + number) for number in range(n_tests)],
        untested=LAW_ALONE if config.pooling == "none" else BETWEEN,
    )
    later = shares.widths.get("later", unseen)
    late = shares.widths.get("late", later)
    seen = shares.widths.get("seen", late if "later" in shares.widths else fitted)
    return Fit(
        members=jax.tree.map(lambda leaf: leaf[:n_members] if isinstance(leaf, jax.Array) else leaf, models),
        control=dataset.control_mean().astype(np.float32),
        residual=shrunk(dataset, residual).astype(np.float32),
        missed=(residual**2).mean(axis=0).astype(np.float32),
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
