"""Inner validation: which steady-state loss and sparsity predict edits that were held out of the training conditions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, PRNGKeyArray

from semimech.data import Dataset
from semimech.experiment import Condition
from semimech.fit.config import FitConfig
from semimech.fit.loss import Weights
from semimech.fit.problem import AppliedStrength, Problem, check_strength, edited_genes
from semimech.fit.train import Program, Training, predict_members
from semimech.model import make_plan


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


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What inner validation found.

    Parameters
    ----------
    chosen
        The best candidate.
    table
        Candidates with their held-out error relative to no change, its standard error over folds, and which was chosen.
    held_out
        Predictions of each training condition while its edits were held out, by the chosen candidate, pooled;
        NaN for conditions that were never held out.
    trust
        How far an unseen edit's prediction leaves that of an edit of an unknown gene: 0 not at all, 1 all the way.
    """

    chosen: Candidate
    table: pd.DataFrame
    held_out: Float[np.ndarray, "condition gene"]
    trust: float


def run_weights(
    candidate: Candidate, config: FitConfig, row: Float[np.ndarray, " condition"], problem: Problem
) -> Weights:
    """Weights of one run: a candidate's, with some conditions weighted or held out."""
    padded = np.zeros(problem.plan.n_rows, np.float32)
    padded[: len(row)] = row
    return Weights(
        row=jnp.asarray(padded),
        steady_state=jnp.array(candidate.weight, jnp.float32),
        sparsity=jnp.array(candidate.sparsity, jnp.float32),
        decay=jnp.array(candidate.decay, jnp.float32),
        residual=jnp.array(config.residual_weight, jnp.float32),
    )


def edit_folds(dataset: Dataset, n_folds: int, *, seed: int) -> list[Bool[np.ndarray, " condition"]]:
    """Conditions to hold out in each fold: all that carry one of the fold's genes.

    With fewer than two edited genes, times are held out instead, the last first; with neither, nothing is.
    """
    genes = sorted({edit.gene for c in dataset.conditions for edit in c.edits})
    if len(genes) >= 2:
        order = np.random.default_rng(seed).permutation(len(genes))
        parts = [{genes[i] for i in order[k::n_folds]} for k in range(min(n_folds, len(genes)))]
        return [np.array([any(e.gene in part for e in c.edits) for c in dataset.conditions]) for part in parts]
    times = np.unique(dataset.hours[np.isfinite(dataset.hours)])[1:][::-1][:n_folds]
    return [dataset.hours == time for time in times]


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
        if dataset.control_moments is None or dataset.system.is_differentiating:
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


@dataclass(frozen=True, kw_only=True)
class _Outcome:
    """What one candidate did in all folds."""

    candidate: Candidate
    errors: Float[np.ndarray, " fold"]
    held_out: Float[np.ndarray, "condition gene"]
    trust: float


def select(dataset: Dataset, training: Training, config: FitConfig, *, key: PRNGKeyArray) -> Selection:
    """Choose among candidates by their error on held-out training edits.

    Parameters
    ----------
    dataset
        Training conditions.
    training
        The compiled problem and how to run it.
    config
        Candidates, folds and steps.
    key
        Randomness of the runs.

    Raises
    ------
    ConfigError
        If the steady-state loss asked for is not allowed here.
    """
    folds = edit_folds(dataset, config.n_folds, seed=config.seed)
    first = first_candidates(config)
    middle = first[len(first) // 2]
    asked = steady_state_candidates(config, dataset, middle)  # a strength that is not allowed is refused before any fit
    if not folds:
        chosen = (asked or [middle])[0]
        nothing = _Outcome(candidate=chosen, errors=np.full(1, np.nan), held_out=_nothing(dataset), trust=1.0)
        return _selection([nothing], nothing)
    outcomes = _validate(first, folds, dataset, training, config, key=key)
    best = min(outcomes, key=lambda outcome: outcome.errors.mean())
    later = steady_state_candidates(config, dataset, best.candidate)
    for group in _same_program(later):
        outcomes += _validate(group, folds, dataset, training, config, key=key)
    eligible = outcomes if config.steady_state in ("auto", "none") else outcomes[len(first) :]
    return _selection(outcomes, min(eligible, key=lambda outcome: outcome.errors.mean()))


def anonymous(condition: Condition) -> Condition:
    """The condition with its edits made in genes that no model knows: what all edits share remains."""
    return Condition(
        history=tuple(
            replace(
                period,
                context=replace(
                    period.context,
                    edits=tuple(replace(edit, gene=f"ANY-{i}") for i, edit in enumerate(period.context.edits)),
                ),
            )
            for period in condition.history
        )
    )


def _validate(
    candidates: Sequence[Candidate],
    folds: Sequence[Bool[np.ndarray, " condition"]],
    dataset: Dataset,
    training: Training,
    config: FitConfig,
    *,
    key: PRNGKeyArray,
) -> list[_Outcome]:
    """Fit candidates of one program in every fold, and score what they say of the fold."""
    n, problem = len(dataset.conditions), training.problem
    runs = [run_weights(c, config, (~fold).astype(np.float32), problem) for c in candidates for fold in folds]
    program = Program(strength=candidates[0].strength, n_factors=candidates[0].n_factors, config=config)
    label = f"inner validation, {program.strength}" + (
        f" with {program.n_factors} factors" if program.n_factors else ""
    )
    keys = list(jax.random.split(key, len(folds))) * len(candidates)
    models = training.models(training.run(program, runs, keys, n_steps=config.validation_steps, label=label))
    shape = (len(candidates), len(folds), n, len(dataset.genes))
    unknown = make_plan([anonymous(c) for c in dataset.conditions], training.roster)
    specific, shared = (
        np.asarray(predict_members(models, plan, training.solver), np.float64)[:, :n].reshape(shape)
        for plan in (problem.plan, unknown)
    )
    outcomes = []
    for i, candidate in enumerate(candidates):
        held_out, base = _nothing(dataset), _nothing(dataset)
        for k, fold in enumerate(folds):
            held_out[fold], base[fold] = specific[i, k, fold], shared[i, k, fold]
        trust = 1.0 if config.pooling == "none" else _best_trust(held_out, base, dataset, problem)
        outcomes.append(_outcome(candidate, held_out, base, trust, folds, dataset, problem))
    return outcomes


def _scored_weight(dataset: Dataset, problem: Problem) -> Float[np.ndarray, "condition gene"]:
    """Weight of each squared error of edited conditions, without the edited genes."""
    scored = ~edited_genes(dataset) & ~dataset.is_control[:, None]
    return np.asarray(problem.weight)[: len(dataset.conditions)] * scored


def _best_trust(
    held_out: Float[np.ndarray, "condition gene"],
    base: Float[np.ndarray, "condition gene"],
    dataset: Dataset,
    problem: Problem,
) -> float:
    """How far to leave the prediction of an unknown edit: least squares on held-out conditions, between 0 and 1."""
    weight = _scored_weight(dataset, problem)
    departure, wanted = np.nan_to_num(held_out - base), np.nan_to_num(dataset.mean - base)
    return float(np.clip((weight * departure * wanted).sum() / max((weight * departure**2).sum(), 1e-12), 0.0, 1.0))


def _outcome(
    candidate: Candidate,
    held_out: Float[np.ndarray, "condition gene"],
    base: Float[np.ndarray, "condition gene"],
    trust: float,
    folds: Sequence[Bool[np.ndarray, " condition"]],
    dataset: Dataset,
    problem: Problem,
) -> _Outcome:
    """Pool held-out predictions towards those of an unknown edit, and score them by fold, relative to no change."""
    weight = _scored_weight(dataset, problem)
    pooled = np.where(edited_genes(dataset), held_out, base + trust * (held_out - base))
    control = np.stack([dataset.matched_control(c) for c in dataset.conditions])
    no_change = max(float((weight * (control - dataset.mean) ** 2).sum()) / len(folds), 1e-12)
    squared = weight * (pooled - dataset.mean) ** 2
    errors = np.array([np.nan_to_num(squared[fold].sum() / no_change, nan=np.inf) for fold in folds])
    return _Outcome(candidate=candidate, errors=errors, held_out=pooled, trust=trust)


def _same_program(candidates: Sequence[Candidate]) -> list[list[Candidate]]:
    """Candidates grouped by what must be compiled for them."""
    groups: dict[tuple[str, int], list[Candidate]] = {}
    for candidate in candidates:
        groups.setdefault((candidate.strength, candidate.n_factors), []).append(candidate)
    return list(groups.values())


def _selection(outcomes: Sequence[_Outcome], chosen: _Outcome) -> Selection:
    """The winner, and the table of all."""
    table = pd.DataFrame([asdict(outcome.candidate) for outcome in outcomes])
    table["trust"] = [outcome.trust for outcome in outcomes]
    table["error"] = [outcome.errors.mean() for outcome in outcomes]
    n = len(chosen.errors)
    table["standard_error"] = [o.errors.std(ddof=1) / np.sqrt(n) if n > 1 else np.nan for o in outcomes]
    table["chosen"] = [outcome is chosen for outcome in outcomes]
    return Selection(chosen=chosen.candidate, table=table, held_out=chosen.held_out, trust=chosen.trust)


def _nothing(dataset: Dataset) -> Float[np.ndarray, "condition gene"]:
    return np.full(dataset.mean.shape, np.nan)
