"""Round: the next experiments of a fitted model, ranked, each with its reason, and as protocols that can be run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from semimech.assumptions import Harvested
from semimech.data import describe
from semimech.design.apart import (
    Rivals,
    Telling,
    apart_of,
    chance_of_right,
    choose_apart,
    expected_nats,
    independent_genes,
)
from semimech.design.candidates import as_experiments
from semimech.design.choose import Criterion, Pick, choose, remaining
from semimech.design.goal import Attempt, Goal, choose_for_goal
from semimech.design.law_lessons import law_lessons
from semimech.design.lessons import choose_lessons
from semimech.design.pool import Pool, make_pool
from semimech.design.prices import Limits
from semimech.experiment import Condition, Experiment
from semimech.fit import FittedModel
from semimech.model import PriorNetwork

_MANY = 500
"""Conditions beyond which lessons are of two draws of the weights, for time and memory."""
_GENES = 3
"""Genes named where rivals differ most."""
_TELLS = 0.01
"""Least correlation of errors at which one condition is said to sharpen another."""


@dataclass(frozen=True, kw_only=True)
class Round:
    """The experiments of a round.

    Parameters
    ----------
    table
        One row per condition in the order chosen: ``rank, condition, perturbation, hours, medium, cost``, numbers of the criterion, and
        ``reason`` in words.
    experiments
        Protocols; harvests of one culture stand in one.
    summary
        What the round costs and is expected to do.
    """

    table: pd.DataFrame
    experiments: tuple[Experiment, ...]
    summary: dict[str, float]


def plan_round(
    model: FittedModel,
    candidates: Sequence[Condition],
    limits: Limits,
    *,
    criterion: Criterion | Literal["lessons"] | Goal | Rivals = "error",
    queries: Sequence[Condition] = (),
    noise: float | None = None,
    prior: PriorNetwork | None = None,
    seed: int = 0,
) -> Round:
    """Choose the next experiments.

    Parameters
    ----------
    model
        What is known so far.
    candidates
        What could be done; what was measured is left out.
    limits
        What fits into the round.
    criterion
        ``"error"``, ``"information"``, ``"lessons"`` (`semimech.design.law_lessons`), the state that cells shall reach, or models that shall be told apart from this one.
    queries
        Conditions whose predictions shall become better; all candidates if none are given.
    noise
        Variance of one measured condition, mean over genes; see `make_pool`.
    prior
        Known wiring, for lessons.
    seed
        Decides the draws for a goal and for lessons.

    Raises
    ------
    ConfigError
        If nothing fits into the round, or rivals predict the same of everything.
    DataError
        If every candidate was measured, or one has genes or media that the model does not know.
    """
    measured = {model.system.resolve(condition) for condition in model.training}
    able = [c for c in dict.fromkeys(map(model.system.resolve, candidates)) if c not in measured]
    asked = [c for c in dict.fromkeys(map(model.system.resolve, queries)) if c not in set(able)]
    pool = make_pool(model, [*able, *asked] if able else (), noise=noise)
    can = np.arange(len(pool.conditions)) < len(able)
    wanted = set(map(model.system.resolve, queries)) or set(able)
    if isinstance(criterion, Goal):
        share = independent_genes(model, pool.conditions) / len(model.genes)
        attempts = choose_for_goal(pool, criterion, limits, seed=seed, is_candidate=can, independent_share=share)
        return _round(model, pool, attempts, [_goal_columns(a) for a in attempts], _goal_summary(attempts))
    if isinstance(criterion, Rivals):
        return _round_apart(model, pool, criterion, limits, can)
    weight = np.array([c in wanted for c in pool.conditions], float)
    before = pool.covariance.diagonal() @ weight
    if criterion == "lessons":
        draws = 4 if len(pool.conditions) <= _MANY else 2
        rng = np.random.default_rng(seed)
        lessons = law_lessons(model, pool.conditions, prior=prior, noise=noise, n_draws=draws, rng=rng)
        told = {"asked": weight / weight.sum(), "is_candidate": can, "own": True}
        picks = choose_lessons([lessons], pool.conditions, limits, **told)
        after = before * (1.0 - sum(pick.gain for pick in picks))
    else:
        picks = choose(pool, limits, criterion=criterion, is_candidate=can, weight=weight)
        after = remaining(pool, tuple(pick.row for pick in picks)).diagonal() @ weight
    columns = [_pick_columns(model, pool, pick, criterion) for pick in picks]
    summary = {
        "cost": sum(pick.cost for pick in picks),
        "rms_error_before": float(np.sqrt(before / weight.sum())),
        "rms_error_after": float(np.sqrt(max(after, 0.0) / weight.sum())),
        "error_removed": float(1.0 - after / before),
    }
    return _round(model, pool, picks, columns, summary)


def _round(
    model: FittedModel,
    pool: Pool,
    chosen: Sequence[Pick] | Sequence[Attempt],
    columns: Sequence[dict[str, object]],
    summary: dict[str, float],
) -> Round:
    conditions = [pool.conditions[each.row] for each in chosen]
    maintenance = model.system.maintenance_medium
    table = pd.DataFrame(
        {
            "rank": np.arange(1, len(conditions) + 1),
            "condition": [describe(c) for c in conditions],
            "perturbation": [c.perturbation for c in conditions],
            "hours": [c.hours for c in conditions],
            "medium": [c.medium or maintenance for c in conditions],
            "cost": [each.cost for each in chosen],
        }
    )
    table = pd.concat([table, pd.DataFrame(columns)], axis=1)
    return Round(table=table, experiments=as_experiments(conditions, maintenance_medium=maintenance), summary=summary)


def _pick_columns(model: FittedModel, pool: Pool, pick: Pick, criterion: str) -> dict[str, object]:
    condition = pool.conditions[pick.row]
    found = Harvested(conditions=model.training, system=model.system).coverage(condition)
    off = float(np.sqrt(pool.covariance[pick.row, pick.row]))
    axes = ", ".join(found.axes) or "the history"
    new = {"extrapolated": f"new in {axes}", "interpolated": f"between what was measured ({axes})"}.get(
        found.label, f"{found.label} so far"
    )
    if criterion != "information":
        share = pick.gain / max(pick.alone, 1e-300)
        what = f"measuring it removes {100 * pick.gain:.2g} % of the expected squared error of what is asked"
        what += f", {100 * pick.own:.0f} % of that its own"
        correlation = pool.correlation[pick.row, pick.sharpened]
        if pick.sharpened != pick.row and (criterion == "lessons" or abs(correlation) > _TELLS):
            what += f", and sharpens {describe(pool.conditions[pick.sharpened])} most"
        if share < 0.9:
            what += f"; those above it tell {100 * (1 - share):.0f} % of what it would have told alone"
    else:
        what = f"its outcome is worth {pick.gain:.2g} nats after those above it ({pick.alone:.2g} alone)"
    return {
        "gain": pick.gain,
        "gain_alone": pick.alone,
        "rms_error": off,
        "coverage": found.label,
        "reason": f"{new}; predicted to within ±{off:.2g} (root mean square over genes); {what}",
    }


def _round_apart(
    model: FittedModel, pool: Pool, rivals: Rivals, limits: Limits, can: Bool[np.ndarray, " condition"]
) -> Round:
    """The round that tells rivals from the model."""
    means = {name: ask(pool.conditions) for name, ask in rivals.ask.items()}
    n_independent = independent_genes(model, pool.conditions)
    tellings = choose_apart(pool, means, limits, n_independent=n_independent, is_candidate=can)
    rows = [telling.pick.row for telling in tellings]
    summary = {"cost": sum(telling.pick.cost for telling in tellings)}
    asked = means if rivals.chance is None else means | {"another seed": rivals.chance(pool.conditions)}
    for name, apart in apart_of(pool, asked, n_independent).items():
        nats = expected_nats(pool, apart, rows)
        summary |= {f"nats, {name}": nats, f"chance of right, {name}": chance_of_right(nats)}
    columns = [_apart_columns(model, pool, means, telling) for telling in tellings]
    return _round(model, pool, [telling.pick for telling in tellings], columns, summary)


def _apart_columns(
    model: FittedModel, pool: Pool, means: Mapping[str, Float[np.ndarray, "condition gene"]], telling: Telling
) -> dict[str, object]:
    row, nats = telling.pick.row, telling.nats
    most = max(nats, key=lambda name: nats[name])
    change = means[most][row] - pool.mean[row]
    known = float(np.sqrt(pool.covariance[row, row] + pool.noise))
    genes = np.argsort(-np.abs(change), kind="stable")[:_GENES]
    reason = f"with {most} it would be otherwise by {np.sqrt((change**2).mean()):.2g} (root mean square over genes), most of "
    reason += ", ".join(f"{model.genes[gene]} ({change[gene]:+.2g})" for gene in genes)
    reason += f", and is known to within ±{known:.2g}: {nats[most]:.2g} nats for the right one"
    share = nats[most] / max(telling.alone[most], 1e-300)
    reason += f"; after those above it, {100 * share:.0f} % of what it would have told alone" if share < 0.9 else ""
    return {
        "gain": telling.pick.gain,
        "gain_alone": telling.pick.alone,
        **{f"nats, {name}": value for name, value in nats.items()},
        "reason": reason,
    }


def _goal_columns(attempt: Attempt) -> dict[str, object]:
    a = attempt
    reason = f"expected to go {100 * a.closeness:.0f} % of the way (90 % interval {100 * a.lower:.0f} to {100 * a.upper:.0f} %)"
    reason += f", the best of this round with probability {a.best:.2f}"
    return {
        "closeness": a.closeness,
        "lower": a.lower,
        "upper": a.upper,
        "gain": a.gain,
        "p_best": a.best,
        "reason": reason,
    }


def _goal_summary(attempts: Sequence[Attempt]) -> dict[str, float]:
    return {"cost": sum(a.cost for a in attempts), "expected_best_closeness": sum(a.gain for a in attempts)}
