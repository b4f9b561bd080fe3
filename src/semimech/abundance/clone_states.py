"""Where the cells of each clone will be: the cell operator of a fitted law acting on clones whose cells were seen earlier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import numpy as np
import pandas as pd
from jaxtyping import Float, Int, PRNGKeyArray
from scipy.stats import norm

from semimech._errors import DataError, raise_faults
from semimech.data.findings import counted
from semimech.fit import FittedModel
from semimech.fit.problem import own_genes
from semimech.model.operator import Protocol, protocol_steps

MIN_CELLS = 2
"""Cells of each of two clones at the least, from which the spread of cells within clones is told."""


@dataclass(frozen=True, kw_only=True)
class ClonesLater:
    """Clones after a protocol.

    Parameters
    ----------
    clones, genes
        Names of rows and columns.
    earlier
        Means of the clones when they were seen, observed scale, as far as they stand out from the mean of clones.
    later, lower, upper
        Their means after the protocol, with intervals.
    kept
        Share of a clone's difference from the mean of clones that is no noise of its cells, mean over genes.
    """

    clones: tuple[str, ...]
    genes: tuple[str, ...]
    earlier: Float[np.ndarray, "clone gene"]
    later: Float[np.ndarray, "clone gene"]
    lower: Float[np.ndarray, "clone gene"]
    upper: Float[np.ndarray, "clone gene"]
    kept: Float[np.ndarray, " clone"]

    def table(self) -> pd.DataFrame:
        """One row per clone and gene."""
        rows = pd.MultiIndex.from_product([self.clones, self.genes], names=["clone", "gene"])
        columns = ("earlier", "later", "lower", "upper")
        return pd.DataFrame({name: getattr(self, name).ravel() for name in columns}, index=rows).reset_index()


def advance_clones(
    model: FittedModel,
    values: Float[np.ndarray, "cell gene"],
    clones: Sequence[str | None] | np.ndarray,
    since: Protocol,
    *,
    before: Protocol = (),
    level: float = 0.9,
    n_draws: int = 20,
    key: PRNGKeyArray,
) -> ClonesLater:
    r"""Predict the mean expression of each clone after a protocol, from its cells before it.

    A clone has few cells. Its mean is shrunk to the mean of clones, gene by gene, by the share of its difference that is no noise of cells (empirical Bayes of normal means: with :math:`\tau_g^2` the variance of
    clones beyond noise and :math:`\sigma_g^2 / n_c` the noise of a mean, :math:`\tau_g^2 / (\tau_g^2 + \sigma_g^2 / n_c)`; Efron and Morris, Journal of the American Statistical Association 70, 311, 1975). Clones of many cells tell :math:`\tau_g^2` and the mean of clones better than those of few, and are weighted by it. The operator of the protocol
    (`FittedModel.operator`) then moves each clone from there. Intervals hold, as independent, what is not known of the start, carried along by draws of it through the members of the ensemble, whose disagreement is thus in
    them, and the error that the law was found to make on unseen edits that move cells as far from unedited ones: a clone starts where no training condition did.

    Parameters
    ----------
    model
        Fitted law; its genes are the columns of the values.
    values
        Cells at the earlier harvest, observed scale, batch effects removed.
    clones
        Clone of each cell; cells whose barcode was not read are left out before.
    since
        What was done since, up to the later harvest.
    before
        What had been done to the cells before; edits and the medium go on.
    level
        Coverage of intervals.
    n_draws
        Draws of each start, two at least.
    key
        Decides them.

    Raises
    ------
    DataError
        If the cells, clones or genes do not fit together, cells have no clone, fewer than two clones have two cells, or ``level`` or ``n_draws`` are out of range.
    ExperimentError
        If a protocol cannot be read.
    """
    labels = np.asarray(clones, dtype=object)
    faults = []
    if values.ndim != 2 or values.shape[1] != len(model.genes):
        faults.append(f"values have the shape {values.shape}, wanted a column for each of {len(model.genes)} genes")
    elif not np.isfinite(values).all():
        faults.append("values of expression must be numbers")
    if len(labels) != len(values):
        faults.append(f"{len(labels)} clones for {len(values)} cells; give one of each")
    missing = pd.isna(labels) | (labels == "")
    if missing.any():
        faults.append(
            f"{counted(int(missing.sum()), 'cell')} without a clone: leave out cells whose barcode was not read"
        )
    names, code = np.unique(labels.astype(str), return_inverse=True)
    size = np.bincount(code).astype(float)
    if (size >= MIN_CELLS).sum() < 2:
        faults.append(f"fewer than two clones have {MIN_CELLS} cells: what is noise of cells cannot be told")
    if not 0.0 < level < 1.0:
        faults.append(f"level must lie between 0 and 1, got {level:g}: a 90 % interval is 0.9")
    if n_draws < 2:
        faults.append(f"n_draws must be at least 2 to tell a spread, got {n_draws}")
    raise_faults(DataError, "clones", faults)
    first = model.operator(before)
    operator = model.operator(since).after(first)
    mean, noise, share = shrunken_means(np.asarray(values, float), code, size)
    scale = model.scale

    def advanced(observed: Float[np.ndarray, "row gene"]) -> Float[np.ndarray, "member row gene"]:
        return scale.to_observed(operator.members(np.maximum(scale.to_state(observed), 0.0)))

    later = advanced(mean).mean(axis=0)
    rng = np.random.default_rng(np.asarray(jax.random.bits(key, (4,), "uint32")))
    starts = mean + noise * rng.standard_normal((n_draws, *mean.shape))
    drawn = advanced(starts.reshape(-1, mean.shape[1])).reshape(-1, *mean.shape)
    whole = model.operator((*protocol_steps(before), *protocol_steps(since))).condition
    z = float(norm.ppf(0.5 + level / 2.0))
    own = np.broadcast_to(own_genes([whole], model.genes), later.shape)
    # Half-widths hold 90 %. Clones start where no training condition did: what the law errs by on unseen edits stands for that.
    of_model = model.fit.unseen.half_width(later - model.fit.control, own) / float(norm.ppf(0.95))
    half = z * np.sqrt(drawn.var(axis=0, ddof=1) + of_model**2)
    return ClonesLater(
        clones=tuple(names.tolist()),
        genes=tuple(model.genes),
        earlier=mean,
        later=later,
        lower=later - half,
        upper=later + half,
        kept=share.mean(axis=1),
    )


def shrunken_means(
    values: Float[np.ndarray, "cell gene"], code: Int[np.ndarray, " cell"], size: Float[np.ndarray, " clone"]
) -> tuple[Float[np.ndarray, "clone gene"], Float[np.ndarray, "clone gene"], Float[np.ndarray, "clone gene"]]:
    r"""Means of clones, shrunk to that of all clones, their standard errors, and the share of each difference that was kept.

    The variance of clones beyond noise is the two-step moment estimate of DerSimonian and Kacker (Contemporary Clinical Trials 28, 105, 2007), which unequal clones do not bias. Standard errors hold that of the mean of clones.

    Parameters
    ----------
    values
        Cells.
    code
        Number of each cell's clone.
    size
        Cells of each clone.
    """
    own = np.stack([np.bincount(code, column, minlength=len(size)) for column in values.T], axis=1) / size[:, None]
    within = ((values - own[code]) ** 2).sum(axis=0) / (len(values) - len(size))
    noise = within / size[:, None]
    spread = _between(own, noise, np.ones_like(own))
    spread = _between(own, noise, _precision(spread + noise))
    weight = _precision(spread + noise)
    centre = np.average(own, axis=0, weights=weight)
    share = np.divide(spread, spread + noise, out=np.zeros_like(noise), where=spread + noise > 0)
    of_centre = np.where(spread + noise > 0, (1.0 - share) ** 2 / weight.sum(axis=0), 0.0)
    return centre + share * (own - centre), np.sqrt(share * noise + of_centre), share


def _precision(variance: Float[np.ndarray, "clone gene"]) -> Float[np.ndarray, "clone gene"]:
    """One over the variance; alike for clones where nothing varies."""
    return np.divide(1.0, variance, out=np.ones_like(variance), where=variance > 0)


def _between(
    own: Float[np.ndarray, "clone gene"],
    noise: Float[np.ndarray, "clone gene"],
    weight: Float[np.ndarray, "clone gene"],
) -> Float[np.ndarray, " gene"]:
    """Variance of clones beyond noise: what the weighted squares about the weighted mean are more than noise makes of them."""
    total, squares = weight.sum(axis=0), (weight**2).sum(axis=0)
    found = (weight * (own - np.average(own, axis=0, weights=weight)) ** 2).sum(axis=0)
    of_noise = (weight * noise).sum(axis=0) - (weight**2 * noise).sum(axis=0) / total
    return np.maximum(found - of_noise, 0.0) / (total - squares / total)
