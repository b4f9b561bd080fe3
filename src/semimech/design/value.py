r"""Value: from learning curves to edits, cells, money and weeks saved.

A method that reaches error :math:`e` at :math:`n` edits saves, against another, :math:`1 - n / n'` of the :math:`n'` at which the other reaches it. That is beyond what was measured of the other, and depends on the form of its curve: a power law,
:math:`e(n) = e_1 n^{-b}` (Hestness et al. 2017, arXiv:1712.00409), which bends the less the farther, or an exponential :math:`e_0 e^{-b n}`, straight on to an error that falls as long as edits last. Both are followed, and
count by their likelihood. Intervals come from a bootstrap over held-out edits, from the form, and from how far a campaign's error strays from its curve at each size, because other edits could have been made: by the residuals of both curves, and by an assumed
size (`STRAY`), which counts the more the fewer of them there are. How many edits are needed is told up to four times the edits at hand (`FAR`): beyond that a flat curve would tell of any number, and all that is known is that they are more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, get_args

import numpy as np
import pandas as pd
from jaxtyping import Float

from semimech._errors import ConfigError, raise_faults
from semimech.design.prices import Prices

Form: TypeAlias = Literal["power", "exponential"]
_MOST = 1e3
"""Times the edits at hand beyond which a curve is not followed."""
FAR = 4.0
"""Times the edits at hand beyond which a curve tells that more are needed, and not how many."""
STRAY, _KNOWN = 0.035, 4.0
"""Standard deviation of the log error of one campaign at one size around its power law, assumed, and the degrees of freedom that this counts for."""


@dataclass(frozen=True, kw_only=True)
class Saving:
    """What a method saves against another at equal error.

    Parameters
    ----------
    edits
        Edits with which the method was trained.
    needed, needed_lower, needed_upper
        Edits that the other needs for the same error, and the 90 % interval; an extrapolation beyond `edits`, of which from four times these on no more is
        known than that it is so many or more (`is_far`).
    share, lower, upper
        Saved share of the other's edits, and its 90 % interval; negative where the other needs fewer; -1 stands for that or less, 0.75 for that or more.
    experiments, cells, money, weeks
        What the saved edits are worth; not a number where the other needs more than can be told.
    """

    edits: float
    needed: float
    needed_lower: float
    needed_upper: float
    share: float
    lower: float
    upper: float
    experiments: float
    cells: float
    money: float
    weeks: float

    @property
    def is_far(self) -> bool:
        """Whether all that is known is that the other needs four times the edits or more."""
        return self.needed >= FAR * self.edits

    @property
    def can_be_told(self) -> bool:
        """Whether it is a number: neither far, nor with an interval from fewer edits than were made to more than can be told."""
        return not self.is_far and not (self.lower < 0.0 and self.needed_upper >= FAR * self.edits)


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
    rng = np.random.default_rng(seed)
    weight = rng.multinomial(n_edits, np.full(n_edits, 1 / n_edits), size=n_draws) / n_edits
    ours, theirs = (_strayed(sizes, errors @ weight.T, rng) for errors in (method, other))
    is_power, means = _power_credence(sizes, other.mean(axis=1)), (other.mean(axis=1), method[-1].mean())
    by_form = [np.asarray(edits_needed(sizes, theirs, ours[-1], form=form)) for form in get_args(Form)]
    drawn = np.where(rng.random(n_draws) < is_power, *by_form)
    lower, upper = (float(end) for end in np.quantile(drawn, (0.05, 0.95)))
    best = [float(edits_needed(sizes, *means, form=form)) for form in get_args(Form)]
    needed = float(best[0] ** is_power * best[1] ** (1.0 - is_power))
    saved = needed - float(sizes[-1]) if needed < FAR * sizes[-1] else np.nan
    return Saving(
        edits=float(sizes[-1]),
        needed=needed,
        needed_lower=lower,
        needed_upper=upper,
        share=_share(sizes, needed),
        lower=_share(sizes, lower),
        upper=_share(sizes, upper),
        experiments=saved * conditions_per_edit,
        cells=saved * conditions_per_edit * prices.cells,
        money=_money(saved, prices, conditions_per_edit, edits_per_week),
        weeks=saved / edits_per_week,
    )


def sensitivity(
    found: Saving, prices: Prices, *, conditions_per_edit: float = 1.0, edits_per_week: float = 10.0
) -> pd.DataFrame:
    """What the saved edits are worth as prices change: each halved and doubled in turn, and at both ends of the interval.

    Parameters
    ----------
    found
        From `saving`.
    prices, conditions_per_edit, edits_per_week
        As given there.

    Returns
    -------
    pandas.DataFrame
        Columns ``price, value, lower, half, given, double, upper``: the money saved with that price halved, as given and doubled; ``lower`` and ``upper``
        with prices as given at the ends of the 90 % interval, infinite where that is more than can be told, as the others are not a number.
    """
    saved = {
        name: needed - found.edits if needed < FAR * found.edits else beyond
        for name, needed, beyond in (
            ("lower", found.needed_lower, np.inf),
            ("given", found.needed, np.nan),
            ("upper", found.needed_upper, np.inf),
        )
    }
    rows = []
    for name in ("edit", "harvest", "cell", "week"):
        value = getattr(prices, name)
        changed = {factor: replace(prices, **{name: value * factor}) for factor in (0.5, 1.0, 2.0)}
        money = {f: _money(saved["given"], p, conditions_per_edit, edits_per_week) for f, p in changed.items()}
        ends = {k: _money(saved[k], prices, conditions_per_edit, edits_per_week) for k in ("lower", "upper")}
        rows.append(
            {"price": name, "value": value, "half": money[0.5], "given": money[1.0], "double": money[2.0], **ends}
        )
    return pd.DataFrame(rows)[["price", "value", "lower", "half", "given", "double", "upper"]]


def _money(saved: float, prices: Prices, conditions_per_edit: float, edits_per_week: float) -> float:
    per_edit = prices.edit + conditions_per_edit * (prices.harvest + prices.cell * prices.cells)
    return saved * (per_edit + prices.week / edits_per_week)


def _strayed(
    sizes: Float[np.ndarray, " size"], errors: Float[np.ndarray, "size draw"], rng: np.random.Generator
) -> Float[np.ndarray, "size draw"]:
    """Errors as another campaign of the same edits and law could have had them."""
    x, y = np.log(sizes), np.log(np.maximum(errors.mean(axis=1), 1e-300))
    rest = y - np.polyval(np.polyfit(x, y, 1), x)
    free = len(sizes) - 2
    variance = (_KNOWN * STRAY**2 + float(rest @ rest)) / (_KNOWN + free)
    scale = np.sqrt(variance * (_KNOWN + free) / rng.chisquare(_KNOWN + free, errors.shape[1]))
    return errors * np.exp(scale * rng.standard_normal(errors.shape))


def edits_needed(
    sizes: Float[np.ndarray, " size"],
    errors: Float[np.ndarray, " size *draw"],
    wanted: Float[np.ndarray, " *draw"] | float,
    *,
    form: Form = "power",
) -> Float[np.ndarray, " *draw"] | float:
    """Edits at which power laws, or exponentials, through learning curves reach an error, within a thousandth and a thousand times those at hand."""
    last, y = float(sizes[-1]), np.log(np.maximum(errors, 1e-300))
    x = np.log(sizes / last) if form == "power" else np.asarray(sizes, float) / last
    centred = x - x.mean()
    slope = np.tensordot(centred, y, axes=1) / (centred @ centred)
    reached = y.mean(axis=0) + slope * (x[-1] - x.mean())
    # a curve that does not fall never reaches what lies below it
    ahead = (reached - np.log(np.maximum(wanted, 1e-300))) / np.maximum(-slope, 1e-6)
    times = np.exp(np.clip(ahead, -np.log(_MOST), np.log(_MOST))) if form == "power" else 1.0 + ahead
    return last * np.clip(times, 1.0 / _MOST, _MOST)


def _power_credence(sizes: Float[np.ndarray, " size"], errors: Float[np.ndarray, " size"]) -> float:
    """Probability that a curve is a power law and no exponential, by the likelihood of its points; one half of two points."""
    y = np.log(np.maximum(errors, 1e-300))
    rest = [y - np.polyval(np.polyfit(x, y, 1), x) for x in (np.log(sizes), np.asarray(sizes, float))]
    worse = float(rest[1] @ rest[1] - rest[0] @ rest[0]) / (2.0 * STRAY**2)
    return 1.0 / (1.0 + np.exp(-np.clip(worse, -50.0, 50.0)))


def _share(sizes: Float[np.ndarray, " size"], needed: float) -> float:
    """Saved share of the edits that the other needs."""
    return float(np.clip(1.0 - sizes[-1] / needed, -1.0, 1.0 - 1.0 / FAR))
