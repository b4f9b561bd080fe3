"""The settings that inner validation may choose among, and the weights of a run with each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from semimech.data import Dataset
from semimech.fit.config import FitConfig
from semimech.fit.loss import Weights
from semimech.fit.problem import AppliedStrength, Problem, check_strength

MOST_GENES = 1500
"""With more genes the covariance that a law implies costs too much to be tried unasked: it grows with their cube."""
_CREDIT, _CREDIT_WIRED = 2.0, 8.0
_FEW = 1.0 / 3.0
_FURTHER, _PACE_WIRED, _PENALTY_WIRED = 4.0 / 3.0, 2.0, 1.0 / 3.0


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One setting that inner validation may choose.

    Parameters
    ----------
    strength
        Steady-state loss.
    n_factors
        Slow latent factors, for ``moment``.
    weight
        Weight of the steady-state loss.
    sparsity
        Weight of the penalty on edges.
    decay
        Weight of the squared penalty on all weights.
    tables
        How often each soft table of known wiring counts; once each if none is named.
    """

    strength: AppliedStrength = "none"
    n_factors: int = 0
    weight: float = 0.0
    sparsity: float = 0.0
    decay: float = 0.01
    tables: tuple[float, ...] = ()


def is_sparse(problem: Problem) -> bool:
    """Whether a prior network is a mask that leaves few edges."""
    return bool(np.isfinite(problem.price).mean() <= _FEW)


def with_mask(config: FitConfig, problem: Problem) -> FitConfig:
    """Settings as they are searched where a prior network is a mask that leaves few edges: these bear larger weights, so runs go further, and less of a penalty is tried too."""
    if config.law == "neural" or not is_sparse(problem):
        return config
    smallest = min((s for s in config.sparsities if s > 0), default=0.0)
    weaker = (smallest * _PENALTY_WIRED,) if len(config.sparsities) > 1 and smallest else ()
    return replace(
        config,
        n_steps=round(_FURTHER * config.n_steps),
        validation_steps=round(_FURTHER * config.validation_steps),
        learning_rate=_PACE_WIRED * config.learning_rate,
        sparsities=(*weaker, *config.sparsities),
    )


def run_weights(
    candidate: Candidate, config: FitConfig, row: Float[np.ndarray, " condition"], problem: Problem
) -> Weights:
    """Weights of one run: a candidate's, with some conditions weighted or held out."""
    padded = np.zeros(problem.plan.n_rows, np.float32)
    padded[: len(row)] = row
    return Weights(
        row=padded,
        steady_state=np.array(candidate.weight, np.float32),
        sparsity=np.array(candidate.sparsity, np.float32),
        decay=np.array(candidate.decay, np.float32),
        residual=np.array(config.residual_weight, np.float32),
        tables=np.array(candidate.tables or (1.0,) * len(problem.known), np.float32),
        factors=np.array(candidate.n_factors),
    )


def first_candidates(config: FitConfig, counts: tuple[float, ...] = ()) -> list[Candidate]:
    """Penalties without a steady-state loss, and tables counted as given; a Neural ODE has no edges to make sparse."""
    if config.law == "neural":
        return [Candidate(decay=d) for d in config.weight_decays]
    return [Candidate(sparsity=s, decay=d, tables=counts) for s in config.sparsities for d in config.weight_decays]


def table_candidates(config: FitConfig, n_tables: int, best: Candidate) -> list[Candidate]:
    """Each table of known wiring in turn counted otherwise, the others once, and none of several counted at all."""
    if config.law != "semi-mechanistic":
        return []
    once = (1.0,) * n_tables
    tried = [
        (*once[:table], count, *once[table + 1 :])
        for table in range(n_tables)
        for count in config.table_counts
        if count != 1.0
    ]
    none = (0.0,) * n_tables
    if n_tables > 1 and 0.0 in config.table_counts:
        tried.append(none)
    return [replace(best, tables=counts) for counts in tried]


def each_at_its_best(tried: Sequence[tuple[Candidate, float]], n_tables: int, best: Candidate) -> list[Candidate]:
    """Every table counted as was best for it alone, if that was not tried: candidates come with their errors."""
    once = (1.0,) * n_tables
    errors = {candidate.tables or once: error for candidate, error in tried}
    counts = []
    for table in range(n_tables):
        alone = {c[table]: e for c, e in errors.items() if c[:table] + c[table + 1 :] == once[1:]}
        counts.append(min(alone, key=alone.__getitem__))
    return [] if tuple(counts) in errors else [replace(best, tables=tuple(counts))]


def steady_state_candidates(config: FitConfig, dataset: Dataset, best: Candidate) -> list[Candidate]:
    """Steady-state losses to try first: at the best sparsity and the one below it, with the (lower) middle weight and the most latent factors.

    Raises
    ------
    ConfigError
        If a strength was asked for by name that the data set does not allow.
    """
    strength = steady_state_strength(config, dataset)
    if strength == "none":
        return []
    if config.steady_state != "auto":
        check_strength(dataset, strength)
    lower = [s for s in config.sparsities if s < best.sparsity and config.law == "semi-mechanistic"]
    first = replace(
        best,
        strength=strength,
        n_factors=most_factors(config) if strength == "moment" else 0,
        weight=sorted(config.steady_state_weights)[(len(config.steady_state_weights) - 1) // 2],
    )
    return [replace(first, sparsity=s) for s in (best.sparsity, *([max(lower)] if lower else []))]


def steady_state_neighbours(config: FitConfig, best: Candidate) -> list[Candidate]:
    """What differs from the best steady-state loss in its weight alone, or in its number of latent factors alone."""
    weights = [replace(best, weight=w) for w in config.steady_state_weights if w != best.weight]
    factors = config.latent_factors if best.strength == "moment" else ()
    return weights + [replace(best, n_factors=int(k)) for k in factors if k != best.n_factors]


def steady_state_strength(config: FitConfig, dataset: Dataset) -> AppliedStrength:
    """The steady-state loss that some of the runs will have, if any."""
    if config.steady_state != "auto":
        return config.steady_state
    can_be_tried = dataset.control_moments is not None and dataset.system.is_stationary
    return "moment" if can_be_tried and len(dataset.genes) <= MOST_GENES else "none"


def most_factors(config: FitConfig) -> int:
    """Slow latent factors that the compiled program has; a run may leave them without loadings."""
    return int(max(config.latent_factors))


def law_credit(candidate: Candidate, config: FitConfig, problem: Problem) -> float:
    """Edits that count as having spoken for the law before any is held out: more where its wiring is known, none for a Neural ODE."""
    if config.law == "neural":
        return 0.0
    n_forbidden = int(np.isinf(problem.price).sum())
    is_wired = n_forbidden > len(problem.price) or any(candidate.tables or (1.0,) * len(problem.known))
    return _CREDIT_WIRED if is_wired else _CREDIT
