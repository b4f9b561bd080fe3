"""What a fit says of single counts: the posterior predictive of its leading genes, beside what was counted."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import binom, nbinom, poisson

from semimech.data import Dataset
from semimech.data.count_law import count_law
from semimech.fit import FittedModel

_MOST_CELLS, _BINS = 500, 12
_INSIDE = 0.98
"""Share of cells whose counts are shown one by one or in equal steps."""
COLUMNS = ("condition", "gene", "count", "observed", "negative binomial", "Poisson", "lower", "upper")


def predictive_counts(model: FittedModel, dataset: Dataset, *, n_genes: int = 6) -> pd.DataFrame:
    """Shares of cells at each count in the edited condition that is predicted to change most, by the fit and as counted.

    The fit gives the mean, its change of each gene times the expression of unedited cells; the law of counts gives exposures, batch factors and
    dispersion. Counts stand one by one, or where they are large in twelve equal steps; the largest are taken together.

    Parameters
    ----------
    model
        A fit.
    dataset
        What it was fitted to, with counts.
    n_genes
        Genes that are predicted to change most, the edited ones left out.

    Returns
    -------
    pandas.DataFrame
        ``condition``, ``gene``, ``count``, the least of a step, the shares ``observed``, ``negative binomial`` and ``Poisson``, and ``lower`` and ``upper``: where 90 % of observed
        shares would lie under the negative binomial. Empty without counts or edited conditions.
    """
    cells, edited = dataset.cells, [i for i, c in enumerate(dataset.conditions) if not c.is_control]
    if cells is None or cells.unit is None or not edited or not dataset.is_control.any():
        return pd.DataFrame(columns=list(COLUMNS))
    law, predicted = count_law(dataset), model.predict_conditions([dataset.conditions[i] for i in edited]).mean
    control = np.stack([dataset.matched_control(dataset.conditions[i]) for i in edited])
    change = predicted - control
    for place, i in enumerate(edited):
        own = [dataset.genes.index(e.gene) for e in dataset.conditions[i].edits if e.gene in dataset.genes]
        change[place, own] = 0.0
    place = int(np.argmax((change**2).sum(axis=1)))
    condition = edited[place]
    rows = np.flatnonzero((cells.condition == condition) & np.isfinite(cells.unit))[:_MOST_CELLS]
    unedited = np.average(law.expression[dataset.is_control], axis=0, weights=dataset.n_cells[dataset.is_control])
    floor = 0.01 * float(np.median(dataset.scale.to_state(control[place])))
    fold = (dataset.scale.to_state(predicted[place]) + floor) / (dataset.scale.to_state(control[place]) + floor)
    mean = np.maximum(law.batches.factor[cells.batch[rows]] * (fold * unedited) / cells.unit[rows, None], 1e-9)
    counts, n = cells.counts(rows).toarray(), len(rows)
    tables = []
    for gene in np.argsort(-np.abs(change[place]), kind="stable")[:n_genes]:
        r = 1.0 / law.dispersion.value[gene]
        mu = mean[:, gene][:, None]
        largest = float(np.quantile(counts[:, gene], _INSIDE))
        starts = np.arange(_BINS + 1) * max(int(np.ceil((largest + 1) / _BINS)), 1)
        below = [nbinom.cdf(starts - 1, r, r / (r + mu)).mean(axis=0), poisson.cdf(starts - 1, mu).mean(axis=0)]
        shares = [np.diff(each, append=1.0) for each in below]
        step = np.searchsorted(starts, counts[:, gene], side="right") - 1
        seen = np.bincount(step, minlength=len(starts)) / n
        lower, upper = (binom.ppf(q, n, np.clip(shares[0], 0.0, 1.0)) / n for q in (0.05, 0.95))
        columns = (dataset.conditions[condition].perturbation, dataset.genes[gene], starts)
        tables.append(pd.DataFrame(dict(zip(COLUMNS, (*columns, seen, *shares, lower, upper), strict=True))))
    return pd.concat(tables, ignore_index=True)
