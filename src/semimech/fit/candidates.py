"""The settings that inner validation may choose among, and the weights of a run with each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from semimech.data import Dataset
from semimech.fit.config import FitConfig
from semimech.fit.loss import Weights
from semimech.fit.problem import AppliedStrength, Problem, check_strength


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
    """

    strength: AppliedStrength = "none"
    n_factors: int = 0
    weight: float = 0.0
    sparsity: float = 0.0
    decay: float = 0.01


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
    )


def first_candidates(config: FitConfig) -> list[Candidate]:
    """Penalties without a steady-state loss; a Neural ODE has no edges to make sparse."""
    sparsities = config.sparsities if config.law == "semi-mechanistic" else (0.0,)
    return [Candidate(sparsity=s, decay=d) for s in sparsities for d in config.weight_decays]


def steady_state_candidates(config: FitConfig, dataset: Dataset, best: Candidate) -> list[Candidate]:
    """Steady-state losses to try, at the best sparsity and the one below it.

    Raises
    ------
    ConfigError
        If a strength was asked for by name that the data set does not allow.
    """
    strength: AppliedStrength
    if config.steady_state == "none":
        return []
    if config.steady_state == "auto":
        if dataset.control_moments is None or not dataset.system.is_stationary:
            return []
        strength = "moment"
    else:
        strength = config.steady_state
        check_strength(dataset, strength)
    lower = [s for s in config.sparsities if s < best.sparsity and config.law == "semi-mechanistic"]
    sparsities = [best.sparsity, *([max(lower)] if lower else [])]
    factors = config.latent_factors if strength == "moment" else (0,)
    return [
        Candidate(strength=strength, n_factors=k, weight=w, sparsity=s, decay=best.decay)
        for k in factors
        for w in config.steady_state_weights
        for s in sparsities
    ]


def steady_state_program(config: FitConfig, dataset: Dataset) -> tuple[AppliedStrength, int]:
    """The program of the first steady-state loss to try, which runs without one share; without any, theirs alone."""
    tried = steady_state_candidates(config, dataset, Candidate())
    return program_of(tried[0]) if tried else ("none", 0)


def same_program(candidates: Sequence[Candidate]) -> list[list[Candidate]]:
    """Candidates grouped by what must be compiled for them."""
    groups: dict[tuple[AppliedStrength, int], list[Candidate]] = {}
    for candidate in candidates:
        groups.setdefault(program_of(candidate), []).append(candidate)
    return list(groups.values())


def program_of(candidate: Candidate) -> tuple[AppliedStrength, int]:
    """What of a candidate changes the compiled program."""
    return candidate.strength, candidate.n_factors
