"""Learning curves of a campaign: how fast the error on held-out edits falls with the edits made, and what that saves."""

from __future__ import annotations

import numpy as np
import pandas as pd

from semimech.design.prices import Prices
from semimech.design.value import saving

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
        saves at the error that it ends with (`semimech.design.saving`), in its last row; intervals of 90 %.
    """
    wide = errors.pivot_table(index="n_edits", columns=["strategy", "seed", "perturbation"], values="error")
    unchanged = errors.drop_duplicates(["seed", "perturbation"]).set_index(["seed", "perturbation"])["no_change"]
    sizes, names = wide.index.to_numpy(float), list(dict.fromkeys(errors["strategy"]))
    base = unchanged.to_numpy()
    of = {name: wide[name][list(unchanged.index)].to_numpy() for name in names}
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
