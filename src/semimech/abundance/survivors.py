"""Effects on expression, freed of survivor bias: the cells that are harvested are those that grew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import jax
import numpy as np
import pandas as pd
from jaxtyping import Float, PRNGKeyArray
from scipy.optimize import OptimizeResult, minimize
from scipy.stats import norm

from semimech._errors import DataError, raise_faults
from semimech.abundance.harvested import HarvestedCells
from semimech.abundance.tilt import Tilt

MIN_EDITS, MIN_CELLS = 5, 10
"""Edits that growth is regressed on, and cells of each and of unedited ones, at the least."""
_ROUNDS, _ROUNDS_OF_DRAW = 30, 8
_LOG_BOUNDS = ((-12.0, 3.0), (-7.0, 3.0))
"""Of the logarithms of prior and excess standard deviation, natural-log units of abundance."""


@dataclass(frozen=True, kw_only=True)
class Survivors:
    """Effects of edits on expression, as harvested and as they would be without selection.

    Parameters
    ----------
    edits, genes
        Names of rows and columns.
    harvested
        Mean of the cells of an edit less that of unedited cells, in the scale of the values.
    corrected, lower, upper
        The same, had all cells grown alike, with its interval: noise of clones (or of cells, where founders are not known) and of abundances, and what growth may depend on beyond what they show.
    weight
        Growth per unit of expression of each gene, per hour, as far as edits tell.
    growth
        One row per edit: ``measured`` natural logarithm of its abundance over that of unedited cells, its ``standard_error``, and what the other edits' expression ``predicted``
        (weights are linearised, and variances fitted, with all edits in).
    explained
        Share that expression predicts of what the mean of the other edits leaves of the squares of abundances.
    credence
        Probability that growth follows expression, against growth of each edit for a cause of its own and a cost that all edits share (Bayesian information criterion). Corrections are taken by that share.
    """

    edits: tuple[str, ...]
    genes: tuple[str, ...]
    harvested: Float[np.ndarray, "edit gene"]
    corrected: Float[np.ndarray, "edit gene"]
    lower: Float[np.ndarray, "edit gene"]
    upper: Float[np.ndarray, "edit gene"]
    weight: Float[np.ndarray, " gene"]
    growth: pd.DataFrame
    explained: float
    credence: float

    def table(self) -> pd.DataFrame:
        """One row per edit and gene."""
        rows = pd.MultiIndex.from_product([self.edits, self.genes], names=["edit", "gene"])
        columns = ("harvested", "corrected", "lower", "upper")
        return pd.DataFrame({name: getattr(self, name).ravel() for name in columns}, index=rows).reset_index()

    def growth_table(self) -> pd.DataFrame:
        """`growth` with the edit as its first column, and the credence of the law behind ``predicted``."""
        return self.growth.rename_axis("edit").reset_index().assign(credence=self.credence)

    def weights(self) -> pd.DataFrame:
        """One row per gene: what a unit of its expression adds to growth, per hour, taken by the credence."""
        return pd.DataFrame({"gene": self.genes, "weight": self.credence * self.weight})


def correct_survivors(
    values: Float[np.ndarray, "cell gene"],
    edits: Sequence[str],
    abundance: pd.DataFrame,
    *,
    genes: Sequence[str],
    tilt: Tilt,
    founders: Mapping[str, float] | None = None,
    control: str = "control",
    level: float = 0.9,
    n_draws: int = 100,
    key: PRNGKeyArray,
) -> Survivors:
    r"""Estimate how growth depends on expression, and what the mean of each edit would be without it.

    Growth is linear in the state, :math:`r = r_0 + w \cdot x`, so that a line of descent has been selected by :math:`e^{T w \cdot x}`, with the moments :math:`t, T, V` of a `Tilt`. Weighting each
    harvested cell by :math:`e^{-T w \cdot x}` takes that back, for states of any law: means :math:`\tilde x_p` under those weights are those without selection. The logarithm of abundance is

    .. math::
        a_p = -\ln \langle e^{-T w \cdot x} \rangle_p + (t - T)\, w \cdot \tilde x_p + \tfrac12 (V - T^2)\, w^\top \tilde\Sigma_p w

    less that of unedited cells, and a cost :math:`\alpha` that all edits share (of cutting, of infection; flat prior): what edits have in common is no evidence of what growth follows. It is exact where cells keep their state (only the first term is there), and for normal laws of states that relax. Over edits it gives :math:`w`, by Gauss–Newton, with a normal prior on the
    weights of standardised genes; its width, and the growth that expression does not explain, by marginal likelihood. Measurement noise that edited and unedited cells share cancels. Where edits shift all of their
    cells alike, selection moves edited and unedited cells by the same amount and nothing is to be corrected.

    Parameters
    ----------
    values
        Expression of the cells of one harvest, log scale, batch effects removed.
    edits
        Edit of each cell, or ``control``.
    abundance
        Indexed by edit: ``effect``, natural logarithm of its cells at harvest over those of unedited ones, each over its number before; ``standard_error`` of it.
    genes
        Names of the columns.
    tilt
        For how long selection acted, and how long a cell keeps its state.
    founders
        Effective number of founders that the cells of each edit and of ``control`` come from. Cells of one clone share their state, so that ``n`` cells of ``F`` founders tell as much as
        ``n / (1 + (n - 1) / F)`` independent ones (the design effect of clusters: Kish, Survey Sampling, 1965). Not given, cells are taken as independent, and intervals are too narrow where founders are few.
    control
        Label of unedited cells.
    level
        Coverage of intervals.
    n_draws
        Draws behind an interval, two at least: cells resampled, and weights drawn from their posterior (randomise, then optimise: Bardsley et al., SIAM J. Sci. Comput. 36, A1895, 2014).
    key
        Decides the draws.

    Raises
    ------
    DataError
        If there are too few edits with cells and an abundance, too few cells, numbers or columns that are none, an edit twice, or no founders of some.
    """
    labels = np.asarray(edits, dtype=object)
    counted = pd.Series(labels).value_counts()
    twice = sorted({str(e) for e in abundance.index[abundance.index.duplicated()]})
    kept = [str(e) for e in abundance.index.unique() if e != control and counted.get(e, 0) >= MIN_CELLS]
    columns = ["effect", "standard_error"]
    faults = [f"abundances have no column {name!r}" for name in columns if name not in abundance]
    if twice:
        faults.append(f"abundances of {', '.join(twice)} stand twice: give one row to each edit")
    if len(kept) < MIN_EDITS:
        faults.append(f"{len(kept)} edits have {MIN_CELLS} cells and an abundance, at least {MIN_EDITS} are needed")
    if counted.get(control, 0) < MIN_CELLS:
        faults.append(f"{counted.get(control, 0)} cells called {control!r}, at least {MIN_CELLS} are needed")
    measured = (
        abundance[~abundance.index.duplicated()].reindex(index=kept, columns=columns, fill_value=1.0).to_numpy(float)
    )
    if not np.isfinite(measured).all() or (measured[:, 1] <= 0).any():
        faults.append("abundances must be numbers with standard errors above 0: leave the edits out that have none")
    if not np.isfinite(values).all():
        faults.append("values of expression must be numbers")
    if len(genes) != values.shape[1] or len(labels) != len(values):
        faults.append(f"{len(labels)} edits and {len(genes)} genes for values of shape {values.shape}")
    few = [e for e in (control, *kept) if founders is not None and not founders.get(e, 0.0) > 0.0]
    if few:
        faults.append(f"founders of {', '.join(few)} must be numbers above 0: give those of all, or of none")
    if not 0.0 < level < 1.0:
        faults.append(f"level must lie between 0 and 1, got {level:g}: a 90 % interval is 0.9")
    if n_draws < 2:
        faults.append(f"n_draws must be at least 2 to tell a spread, got {n_draws}")
    raise_faults(DataError, "survivors", faults)
    codes = pd.Index([control, *kept]).get_indexer(pd.Index(labels))
    x = np.asarray(values, float)[codes >= 0]
    group = codes[codes >= 0]
    size = np.bincount(group).astype(float)
    clones = np.inf if founders is None else np.array([founders[e] for e in (control, *kept)])
    cells = HarvestedCells(
        values=x - x[group == 0].mean(axis=0), group=group, tilt=tilt, independent=size / (1.0 + (size - 1.0) / clones)
    )
    problem = _Problem(measured=measured[:, 0], variance=measured[:, 1] ** 2, scale=cells.scale())
    harvested = cells.effects()
    weight, spread, credence = _fit(cells, problem)
    draws = []
    rng = np.random.default_rng(np.asarray(jax.random.bits(key, (4,), "uint32")))
    for _ in range(n_draws):
        again = cells.resampled(rng)
        if rng.random() > credence:
            draws.append(again.effects())
            continue
        start = spread[0] * rng.standard_normal(len(problem.scale)) / problem.scale
        noise = np.sqrt(problem.variance + spread[1] ** 2) * rng.standard_normal(len(kept))
        drawn = _solve(again, problem, spread, weight, start=start, noise=noise, rounds=_ROUNDS_OF_DRAW)
        draws.append(again.taken_back(drawn).mean)
    corrected = harvested + credence * (cells.taken_back(weight).mean - harvested)
    half = float(norm.ppf(0.5 + level / 2.0)) * np.std(draws, axis=0, ddof=1)
    left_out = _left_out(cells, problem, spread, weight)
    others = (measured[:, 0].sum() - measured[:, 0]) / (len(kept) - 1)
    return Survivors(
        edits=tuple(kept),
        genes=tuple(genes),
        harvested=harvested,
        corrected=corrected,
        lower=corrected - half,
        upper=corrected + half,
        weight=weight,
        growth=pd.DataFrame(
            {"measured": measured[:, 0], "standard_error": measured[:, 1], "predicted": left_out}, index=kept
        ),
        explained=float(1.0 - ((measured[:, 0] - left_out) ** 2).sum() / ((measured[:, 0] - others) ** 2).sum()),
        credence=credence,
    )


@dataclass(frozen=True, kw_only=True)
class _Problem:
    """What is regressed: abundances with their variances; ``scale`` is the standard deviation of each gene."""

    measured: Float[np.ndarray, " edit"]
    variance: Float[np.ndarray, " edit"]
    scale: Float[np.ndarray, " gene"]


def _linear(cells: HarvestedCells, problem: _Problem, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Slopes of abundances in the weights of standardised genes, and the abundances that they are to meet, near a weight."""
    at = cells.taken_back(weight)
    return at.slope / problem.scale, problem.measured - at.growth + at.slope @ weight


def _solve(
    cells: HarvestedCells,
    problem: _Problem,
    spread: np.ndarray,
    weight: np.ndarray,
    *,
    rounds: int,
    start: np.ndarray | None = None,
    noise: np.ndarray | None = None,
) -> np.ndarray:
    """Weights by Gauss–Newton from a first one, around the prior's ``start``."""
    begin = np.zeros_like(weight) if start is None else start
    for number in range(rounds):
        slope, target = _linear(cells, problem, weight)
        target = target if noise is None else target + noise
        kernel = spread[0] ** 2 * slope @ slope.T + np.diag(problem.variance + spread[1] ** 2)
        gain = _without_mean(kernel) @ (target - slope @ (begin * problem.scale))
        new = begin + spread[0] ** 2 * (slope.T @ gain) / problem.scale
        step = new - weight
        weight = weight + (1.0 if number == 0 else 0.5) * step
        if np.abs(step * problem.scale).max() < 1e-4 * np.abs(weight * problem.scale).max():
            break
    return weight


def _fit(cells: HarvestedCells, problem: _Problem) -> tuple[np.ndarray, np.ndarray, float]:
    """Weights, the standard deviations of the prior and of unexplained growth that make the abundances likeliest around a level in common, and the credence of that against no weights."""
    weight = np.zeros(len(problem.scale))
    for _ in range(4):
        slope, target = _linear(cells, problem, weight)
        gram = slope @ slope.T
        size = 0.5 * np.log(max(float((target**2).mean()), 1e-12) / max(float(np.trace(gram)) / len(gram), 1e-12))
        starts = [(size + shift, np.log(0.1)) for shift in (-2.0, 0.0)]
        bounds = [tuple(b + (size if n == 0 else 0.0) for b in bound) for n, bound in enumerate(_LOG_BOUNDS)]
        found = min((_likeliest(target, problem, gram, s, bounds) for s in starts), key=lambda f: f.fun)
        spread = np.exp(found.x)
        weight = _solve(cells, problem, spread, weight, rounds=_ROUNDS)
    without = _likeliest(problem.measured, problem, None, (np.log(0.1),), _LOG_BOUNDS[1:])
    # The bend of the abundances near the weights is part of the target, so that both likelihoods are of what was measured.
    cost = float(found.fun - without.fun) + 0.5 * np.log(len(target))
    return weight, spread, float(1.0 / (1.0 + np.exp(np.clip(cost, -500.0, 500.0))))


def _likeliest(
    target: np.ndarray,
    problem: _Problem,
    gram: np.ndarray | None,
    start: Sequence[float],
    bounds: Sequence[tuple[float, ...]],
) -> OptimizeResult:
    """The logarithms of standard deviations, of the prior if there are slopes and of what is unexplained, that make the abundances likeliest."""

    def loss(x: np.ndarray) -> float:
        kernel = np.diag(problem.variance + np.exp(2.0 * x[-1]))
        kernel += 0.0 if gram is None else np.exp(2.0 * x[0]) * gram
        inverse = np.linalg.inv(kernel)
        logs = np.linalg.slogdet(kernel)[1] + np.log(inverse.sum())
        return 0.5 * float(target @ _without_mean(kernel, inverse) @ target + logs)

    return minimize(loss, np.asarray(start), method="Nelder-Mead", bounds=bounds)


def _left_out(cells: HarvestedCells, problem: _Problem, spread: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """What the other edits predict of each edit's abundance (Rasmussen and Williams, Gaussian Processes, 2006, eq. 5.12)."""
    slope, target = _linear(cells, problem, weight)
    kernel = spread[0] ** 2 * slope @ slope.T + np.diag(problem.variance + spread[1] ** 2)
    inverse = _without_mean(kernel)
    return problem.measured - (inverse @ target) / np.diag(inverse)


def _without_mean(kernel: np.ndarray, inverse: np.ndarray | None = None) -> np.ndarray:
    """The inverse of a covariance to which a common level of flat prior was added (Rasmussen and Williams, 2006, eq. 2.42 in its limit)."""
    inverse = np.linalg.inv(kernel) if inverse is None else inverse
    total = inverse.sum(axis=1)
    return inverse - np.outer(total, total) / total.sum()
