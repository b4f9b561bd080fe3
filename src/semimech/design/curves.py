"""Learning curves of a campaign: how fast the error on held-out edits falls with the edits made, and what that saves."""

from __future__ import annotations

import numpy as np
import pandas as pd

from semimech.design.prices import Prices
from semimech.design.value import saving, sensitivity

_SAVED = ("saved", "saved_lower", "saved_upper")


def learning_curves(errors: pd.DataFrame, *, seed: int = 0, n_draws: int = 2000) -> pd.DataFrame:
    """Held-out error against edits made, relative to no change, and what each strategy saves against ``random`` where that was run.

    Parameters
    ----------
    errors
        From `run_campaign`.
    seed, n_draws
        The bootstrap over held-out edits of all campaigns.

    Returns
    -------
    pandas.DataFrame
        Columns ``strategy, n_edits, error, lower, upper, saved, saved_lower, saved_upper``: the share of the edits of ``random`` that the strategy
        saves at the error that it ends with (`semimech.design.saving`), in its last row; 0.75 stands for that or more. Intervals of 90 %.
    """
    sizes, of, base = _by_strategy(errors)
    names = list(of)
    n = len(base)
    draws = np.random.default_rng(seed).multinomial(n, np.full(n, 1.0 / n), size=n_draws)
    rows = []
    for name in names:
        drawn = of[name] @ draws.T / (base @ draws.T)
        lower, upper = np.quantile(drawn, (0.05, 0.95), axis=1)
        for i, size in enumerate(sizes):
            row = {"strategy": name, "n_edits": int(size), "error": of[name][i].sum() / base.sum()}
            rows.append(row | {"lower": lower[i], "upper": upper[i], **dict.fromkeys(_SAVED, np.nan)})
        if "random" in of and name != "random" and len(sizes) > 1:
            found = saving(sizes, of[name], of["random"], Prices(), seed=seed)
            rows[-1] |= dict(zip(_SAVED, (found.share, found.lower, found.upper), strict=True))
    return pd.DataFrame(rows)


def savings(
    errors: pd.DataFrame,
    prices: Prices,
    *,
    conditions_per_edit: float = 1.0,
    edits_per_week: float = 10.0,
    seed: int = 0,
) -> pd.DataFrame:
    """What each strategy saves against ``random`` at the error that it ends with, and what that is worth as prices change.

    Parameters
    ----------
    errors
        From `run_campaign`, with ``random`` among its strategies and two or more rounds.
    prices, conditions_per_edit, edits_per_week
        As in `semimech.design.saving`.
    seed
        Decides the bootstrap.

    Returns
    -------
    pandas.DataFrame
        For each strategy and price ``strategy, share, share_lower, share_upper, weeks`` and the columns of `semimech.design.sensitivity`; no row without
        ``random``, and no weeks or money where only a lower bound of what is saved can be told.
    """
    sizes, of, _ = _by_strategy(errors)
    tables = []
    for name in of:
        if name != "random" and "random" in of and len(sizes) > 1:
            found = saving(
                sizes,
                of[name],
                of["random"],
                prices,
                conditions_per_edit=conditions_per_edit,
                edits_per_week=edits_per_week,
                seed=seed,
            )
            told = {"share": found.share, "share_lower": found.lower, "share_upper": found.upper, "weeks": found.weeks}
            table = sensitivity(found, prices, conditions_per_edit=conditions_per_edit, edits_per_week=edits_per_week)
            table = table.assign(strategy=name, **told)
            tables.append(table[["strategy", *told, *(c for c in table if c not in {"strategy", *told})]])
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def _by_strategy(errors: pd.DataFrame) -> tuple[np.ndarray, dict[str, np.ndarray], np.ndarray]:
    """Numbers of edits that all strategies made, errors of each on every held-out edit of all campaigns, and those of no change."""
    wide = errors.pivot_table(index="n_edits", columns=["strategy", "seed", "perturbation"], values="error").dropna()
    unchanged = errors.drop_duplicates(["seed", "perturbation"]).set_index(["seed", "perturbation"])["no_change"]
    names = list(dict.fromkeys(errors["strategy"]))
    of = {name: wide[name][list(unchanged.index)].to_numpy() for name in names}
    return wide.index.to_numpy(float), of, unchanged.to_numpy()
