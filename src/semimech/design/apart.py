r"""Experiments that tell models apart which explain the data alike and differ in what they take for granted.

With predictions :math:`m_c` and :math:`m_c + \Delta_c` of two rivals, errors of a prediction :math:`\epsilon \sim N(0, K)` and noise :math:`\sigma^2` of a measurement, a batch :math:`S` is expected to speak for the
right one with :math:`\frac12 \Delta_S^\top (K_{SS} + \sigma^2 I)^{-1} \Delta_S` nats: the divergence of two normal laws of one covariance, which T-optimal designs maximise (Atkinson and Fedorov,
Biometrika 62:57, 1975; with the uncertainty of predictions, Box and Hill, Technometrics 9:57, 1967). It is summed over genes, in proportion to how many err by themselves. Conditions are taken one by one: once one is taken,
what it would tell of the errors of others has left both :math:`K` and :math:`\Delta`, so that a second harvest that both rivals miss in the same way is worth little. Of several rivals the sum of
:math:`\log(1 + \text{nats})` counts: one that is told already draws no more experiments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy.stats import norm

from semimech._errors import ConfigError
from semimech.design.choose import Pick, in_turn
from semimech.design.pool import Pool
from semimech.design.prices import Limits, Purse
from semimech.experiment import Condition
from semimech.fit import FittedModel

Ask = Callable[[Sequence[Condition]], Float[np.ndarray, "condition gene"]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Rivals:
    """Models of the same data that take something else for granted than the one that plans.

    Parameters
    ----------
    ask
        Means that each predicts of conditions, by its name.
    chance
        Those of the planning model fitted once more with another seed: differences as large as these mean nothing.
    """

    ask: Mapping[str, Ask]
    chance: Ask | None = None


@dataclass(frozen=True, kw_only=True)
class Telling:
    """What one experiment of a batch tells.

    Parameters
    ----------
    pick
        The experiment; its gain is in logarithms of one and the nats, summed over rivals.
    nats
        What it is expected to add for or against each rival, in nats.
    alone
        What it would have, had it been the first.
    """

    pick: Pick
    nats: Mapping[str, float]
    alone: Mapping[str, float]


def choose_apart(
    pool: Pool,
    means: Mapping[str, Float[np.ndarray, "condition gene"]],
    limits: Limits,
    *,
    n_independent: float,
    is_candidate: Bool[np.ndarray, " condition"] | None = None,
) -> tuple[Telling, ...]:
    """Choose the experiments that are expected to tell rivals from the model best.

    Parameters
    ----------
    pool
        Candidates, and what the model does not know of them.
    means
        What each rival predicts of them, observed scale.
    limits
        What fits into the round.
    n_independent
        Number of genes that err by themselves, see `independent_genes`.
    is_candidate
        Which rows of the pool can be done; all if not given.

    Raises
    ------
    ConfigError
        If there is no rival, all predict the same of all that can be done, or nothing fits into the round.
    """
    can = np.ones(len(pool.conditions), dtype=bool) if is_candidate is None else is_candidate
    apart = apart_of(pool, means, n_independent)
    if not apart or not any((each[can] ** 2).sum() > 1e-12 for each in apart.values()):
        raise ConfigError(
            "assumptions: all models predict the same of everything that can be done; name other candidates (pairs, times, media, orders of steps) or assumptions"
        )
    left = pool.covariance.copy()
    told = dict.fromkeys(apart, 0.0)
    tellings: list[dict[str, float]] = []

    def nats() -> dict[str, Float[np.ndarray, " condition"]]:
        return {name: 0.5 * (each**2).sum(axis=1) / (np.diagonal(left) + pool.noise) for name, each in apart.items()}

    def take(row: int) -> Float[np.ndarray, " condition"]:
        before = nats()
        tellings.append({name: float(values[row]) for name, values in before.items()})
        step = left[:, row] / (left[row, row] + pool.noise)
        for name, each in apart.items():
            told[name] += float(before[name][row])
            each -= np.outer(step, each[row])
        left[:] -= np.outer(step, left[row])
        return np.maximum(sum(before.values()) - sum(nats().values()), 0.0)

    def gains() -> Float[np.ndarray, " condition"]:
        return np.sum([np.log1p(told[name] + values) - np.log1p(told[name]) for name, values in nats().items()], axis=0)

    first = nats()
    picks = in_turn(Purse(conditions=pool.conditions, limits=limits), can, gains=gains, take=take)
    return tuple(
        Telling(pick=pick, nats=each, alone={name: float(values[pick.row]) for name, values in first.items()})
        for pick, each in zip(picks, tellings, strict=True)
    )


def apart_of(
    pool: Pool, means: Mapping[str, Float[np.ndarray, "condition gene"]], n_independent: float
) -> dict[str, Float[np.ndarray, "condition gene"]]:
    """How far each rival is from the model, so that squares over the variance of an outcome (mean over genes) add up to twice the nats.

    A gene counts by the variance of its own outcomes, and all together as many as err by themselves.
    """
    variance = (pool.spread**2).mean(axis=0) + pool.noise
    scale = np.sqrt(variance.mean() / variance * n_independent / len(variance))
    return {name: (np.asarray(mean, float) - pool.mean) * scale for name, mean in means.items()}


def independent_genes(model: FittedModel, conditions: Sequence[Condition]) -> float:
    """How many genes err by themselves, as far as the members of the ensemble show; of one member, which shows nothing, all."""
    deviation = model.by_member(conditions)
    return participation(deviation) if len(deviation) > 1 else float(deviation.shape[-1])


def participation(deviation: Float[np.ndarray, "member condition gene"]) -> float:
    r"""Participation ratio of the variances along the main axes of deviations from the mean of members, each gene's counted alike: from 1, where all go together, to their number.

    It is :math:`g^2 / \sum_{ij} \rho_{ij}^2`. Correlations of :math:`n` deviations that are none have a mean square of :math:`1/n`, so that few would pass for few genes: each
    square is taken as :math:`(n \rho^2 - 1) / (n - 1)`.
    """
    n_genes, n = deviation.shape[-1], (len(deviation) - 1) * deviation.shape[1]
    flat = (deviation - deviation.mean(axis=0)).reshape(-1, n_genes)
    flat = flat / np.maximum(np.linalg.norm(flat, axis=0), 1e-12)
    squares = (
        float((flat @ flat.T).ravel() @ (flat @ flat.T).ravel())
        if len(flat) < n_genes
        else float(((flat.T @ flat) ** 2).sum())
    )
    others = max(squares - n_genes, 0.0)
    told = max((n * others - n_genes * (n_genes - 1)) / (n - 1), 0.0) if n > 1 else others
    return float(n_genes**2 / (n_genes + told))


def expected_nats(pool: Pool, apart: Float[np.ndarray, "condition gene"], rows: Sequence[int]) -> float:
    """What a whole batch is expected to tell of one rival; ``apart`` as `apart_of` has it."""
    variance = pool.covariance[np.ix_(rows, rows)] + pool.noise * np.eye(len(rows))
    return float(0.5 * (apart[list(rows)] * np.linalg.solve(variance, apart[list(rows)])).sum())


def chance_of_right(nats: float) -> float:
    """Chance that outcomes are nearer to the right one of two rivals, where so many nats are expected: of two normal laws of one covariance."""
    return float(norm.cdf(np.sqrt(max(nats, 0.0) / 2.0)))
