r"""Value: from learning curves to edits, cells, money and weeks saved.

A learning curve is taken to be a power law, :math:`e(n) = e_1 n^{-b}` (Hestness et al. 2017, arXiv:1712.00409), through the errors at two or more numbers of edits. A method that reaches error
:math:`e` at :math:`n` edits saves, against another, :math:`1 - n / n'` of the :math:`n'` at which the other reaches it. Intervals come from a bootstrap over held-out edits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from semimech._errors import ConfigError, raise_faults
from semimech.design.prices import Prices

_MOST = 1e3
"""Times the edits at hand beyond which a curve is not followed."""


@dataclass(frozen=True, kw_only=True)
class Saving:
    """What a method saves against another at equal error.

    Parameters
    ----------
    edits
        Edits with which the method was trained.
    needed
        Edits that the other needs for the same error.
    share, lower, upper
        Saved share of the other's edits, and its 90 % interval; negative where the other needs fewer, and -1 where it needs half or less.
    experiments, cells, money, weeks
        What the saved edits are worth.
    """

    edits: float
    needed: float
    share: float
    lower: float
    upper: float
    experiments: float
    cells: float
    money: float
    weeks: float


def saving(
    sizes: Float[np.ndarray, " size"],
    method: Float[np.ndarray, "size edit"],
    other: Float[np.ndarray, "size edit"],
    prices: Prices,
    *,
    conditions_per_edit: float = 1.0,
    edits_per_week: float = 10.0,
    seed: int = 0,
    n_draws: int = 2000,
) -> Saving:
    """What a method saves at the error that it reaches with the most edits.

    Parameters
    ----------
    sizes
        Numbers of training edits, increasing.
    method, other
        Squared error on each held-out edit after training on that many.
    prices
        What is spent on an edit, a condition and a cell.
    conditions_per_edit
        Conditions harvested for each edit.
    edits_per_week
        Edits that the laboratory makes in a week.
    seed
        Decides the bootstrap.
    n_draws
        Draws of the bootstrap.

    Raises
    ------
    ConfigError
        Listing what is too little: fewer than two sizes or edits, or sizes that do not grow.
    """
    faults = []
    if len(sizes) < 2 or (np.diff(sizes) <= 0).any() or (np.asarray(sizes) <= 0).any():
        faults.append("sizes must be two or more numbers of edits that grow")
    if method.shape != other.shape or method.shape[0] != len(sizes) or method.shape[1] < 2:
        faults.append("errors must be those of the same two or more held-out edits at each size")
    if not edits_per_week > 0:
        faults.append(f"edits_per_week must be above 0, got {edits_per_week:g}")
    raise_faults(ConfigError, "Saving", faults)
    n_edits = method.shape[1]
    weight = np.random.default_rng(seed).multinomial(n_edits, np.full(n_edits, 1 / n_edits), size=n_draws) / n_edits
    shares = _share(sizes, method @ weight.T, other @ weight.T)[0]
    share, needed = (float(x) for x in _share(sizes, method.mean(axis=1), other.mean(axis=1)))
    lower, upper = np.quantile(shares, (0.05, 0.95))
    saved = needed - float(sizes[-1])
    per_edit = prices.edit + conditions_per_edit * (prices.harvest + prices.cell * prices.cells)
    weeks = saved / edits_per_week
    return Saving(
        edits=float(sizes[-1]),
        needed=needed,
        share=share,
        lower=float(lower),
        upper=float(upper),
        experiments=saved * conditions_per_edit,
        cells=saved * conditions_per_edit * prices.cells,
        money=saved * per_edit + weeks * prices.week,
        weeks=weeks,
    )


def edits_needed(
    sizes: Float[np.ndarray, " size"],
    errors: Float[np.ndarray, " size *draw"],
    wanted: Float[np.ndarray, " *draw"] | float,
) -> Float[np.ndarray, " *draw"] | float:
    """Edits at which power laws through learning curves reach an error, within a thousandth and a thousand times those at hand."""
    x, y = np.log(sizes), np.log(np.maximum(errors, 1e-300))
    centred = x - x.mean()
    slope = np.tensordot(centred, y, axes=1) / (centred @ centred)
    wanted = np.log(np.maximum(wanted, 1e-300))
    reached = y.mean(axis=0) + slope * (x[-1] - x.mean())
    ahead = (reached - wanted) / np.maximum(-slope, 1e-6)  # a curve that does not fall never reaches what lies below it
    return sizes[-1] * np.exp(np.clip(ahead, -np.log(_MOST), np.log(_MOST)))


def _share(
    sizes: Float[np.ndarray, " size"], method: Float[np.ndarray, " size *draw"], other: Float[np.ndarray, " size *draw"]
) -> tuple[Float[np.ndarray, " *draw"] | float, Float[np.ndarray, " *draw"] | float]:
    """Saved share, and edits that the other needs, for the error that the method ends at."""
    needed = edits_needed(sizes, other, method[-1])
    return np.maximum(1.0 - sizes[-1] / needed, -1.0), needed
