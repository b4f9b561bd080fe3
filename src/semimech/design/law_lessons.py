r"""What edits teach of each other through the weights of a law that is linear around unedited cells at rest.

To first order the response of gene :math:`t` is :math:`\sum_j W_{tj} s_j`, with the signal :math:`s_j = a_j \varphi(z_j) - 1` that the network sees of regulator :math:`j`. Given
the signals of the edits that were made, the weights of a gene have a normal posterior (Bayesian linear regression), and the error of a prediction is :math:`s^\top \delta W_t`: an edit
teaches of another what both read of the same regulators. What an edit does to its own gene is its doing and none of the network's: it says nothing of that gene's weights, and is not asked for.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

from semimech._errors import ConfigError
from semimech.design.lessons import Lessons
from semimech.design.pool import residual_noise
from semimech.experiment import Condition
from semimech.fit import FittedModel
from semimech.fit.linear_law import (
    ELASTICITY,
    MISFIT,
    RANGE,
    STABLE,
    edge_variance,
    edit_sources,
    last_rows,
    posterior,
    regulators_of,
    relative_slope,
    signals,
)
from semimech.model import PriorNetwork

_MOST_NUMBERS = 2**29
"""Features beyond which no list of lessons is made: 2 GiB, and some three times that while a batch is chosen."""


def law_lessons(
    model: FittedModel,
    conditions: Sequence[Condition],
    *,
    prior: PriorNetwork | None = None,
    noise: float | None = None,
    n_draws: int = 4,
    rng: np.random.Generator,
) -> Lessons:
    r"""What conditions teach through the weights of the law.

    What an edit that was not made will move is not known either: a regulator of many regulators teaches of all of these, and the best guess, that it moves
    nothing, would hide it. So the features are those of some draws of the weights from their posterior, each propagated through the network.

    Parameters
    ----------
    model
        Gives what was measured, of each edit its last harvest, and names and scale.
    conditions
        What could be done, and what is asked.
    prior
        Known wiring: a gene's regulators are those that it names. Without it all may be, and all genes share the covariance of a gene that was not edited.
    noise
        Variance of one measured condition, mean over genes; as `semimech.design.make_pool` has it where it is not given.
    n_draws
        Draws of the weights.
    rng
        Of the draws.

    Raises
    ------
    ConfigError
        If the features would not fit into the memory of most machines.
    """
    n_genes, n_regulators = len(model.genes), len(model.roster.regulators)
    able = np.ones((n_genes, n_regulators), bool) if prior is None else prior.known(model.roster) > 0
    np.fill_diagonal(able[:, :n_genes], False)
    if prior is None:
        column, there = np.arange(n_regulators)[None], np.ones((1, n_regulators), bool)
    else:
        column, there = regulators_of(able)
    refuse_too_many(len(conditions), column.shape, n_draws)
    edited = last_rows(model.training)
    slope = relative_slope(model.scale, np.asarray(model.fit.control, np.float64))
    change = np.clip(np.asarray(model.fit.change, np.float64)[edited] / slope, *RANGE)
    source, asked = (edit_sources(model.roster, each) for each in ([model.training[row] for row in edited], conditions))
    told: Float[np.ndarray, " gene"] = (residual_noise(model) if noise is None else noise) / slope**2
    missed = told + MISFIT
    variance = edge_variance(change, source, able, told)
    read = signals(change, source)[:, column] * there
    own = source[:, :n_genes] != 0.0
    if prior is None:
        missed = missed.mean(keepdims=True)
        mean, covariance = posterior(np.broadcast_to(read, (len(read), 1, n_regulators)), change, missed, variance)
        mean = _without_own(mean, covariance[0], read[:, 0], change, own, float(missed[0]))
    else:
        mean, covariance = posterior(read * ~own[..., None], change, missed, variance)
    root = np.linalg.cholesky(covariance)
    is_other = np.ones((len(conditions), 1), bool) if prior is None else asked[:, :n_genes] == 0.0
    features = []
    for _ in range(n_draws):
        drawn = mean + np.einsum("gfk,gk->gf", root, rng.standard_normal(mean.shape))
        weight = np.zeros((n_genes, n_regulators))
        np.put_along_axis(weight, np.broadcast_to(column, mean.shape), drawn * there, axis=1)
        seen = signals(responses(weight * able, asked), asked)[:, column] * (there * is_other[..., None])
        features.append((np.swapaxes(seen, 0, 1) @ root).astype(np.float32))
    squared = slope**2 / n_genes if prior is not None else np.array([float((slope**2).mean())])
    return Lessons(
        feature=np.concatenate(features), noise=np.tile(missed, n_draws), weight=np.tile(squared / n_draws, n_draws)
    )


def refuse_too_many(n_conditions: int, shape: tuple[int, ...], n_draws: int) -> None:
    """Refuse features that would not fit into memory, with what to leave out.

    Raises
    ------
    ConfigError
        If they are too many.
    """
    n_genes, most = shape
    numbers = n_conditions * n_genes * most * n_draws
    if numbers > _MOST_NUMBERS:
        raise ConfigError(
            f"lessons: {n_conditions} conditions, {n_genes} genes of up to {most} regulators and {n_draws} draws take {numbers * 4 / 2**30:.0f} GiB, "
            f"and at most {_MOST_NUMBERS * 4 / 2**30:.0f} are held: name fewer candidates, take a table of wiring with fewer regulators for each gene, or choose by 'error'"
        )


def _without_own(
    mean: Float[np.ndarray, "gene feature"],
    covariance: Float[np.ndarray, "feature feature"],
    read: Float[np.ndarray, "edit feature"],
    change: Float[np.ndarray, "edit gene"],
    own: Bool[np.ndarray, "edit gene"],
    noise: float,
) -> Float[np.ndarray, "gene feature"]:
    """Means from which the edits of each gene itself are left out again, by Woodbury's identity."""
    mean = mean.copy()
    for gene in np.flatnonzero(own.any(axis=0)):
        rows = read[own[:, gene]]
        inner = noise * np.eye(len(rows)) - rows @ covariance @ rows.T
        mean[gene] -= covariance @ rows.T @ np.linalg.solve(inner, change[own[:, gene], gene] - rows @ mean[gene])
    return mean


def responses(
    weight: Float[np.ndarray, "gene regulator"], source: Float[np.ndarray, "condition regulator"]
) -> Float[np.ndarray, "condition gene"]:
    """Changes of the logarithm of all genes at rest, to first order; the loop through an edited gene is cut, of a pair each by itself."""
    n = len(weight)
    active = np.flatnonzero(weight[:, :n].any(axis=0))  # genes that regulate none change nothing of the loops
    reach = float(np.abs(np.linalg.eigvals(ELASTICITY * weight[np.ix_(active, active)])).max(initial=0.0))
    weight = weight * min(1.0, STABLE / max(reach, 1e-12))
    inner = np.eye(len(active)) - ELASTICITY * weight[np.ix_(active, active)]
    through = weight + ELASTICITY * weight[:, active] @ np.linalg.solve(inner, weight[active])
    loop = np.zeros(weight.shape[1])
    loop[:n] = np.diagonal(through)
    return np.clip(source @ (through / np.maximum(1.0 + ELASTICITY * loop, 0.2)).T, *RANGE)
