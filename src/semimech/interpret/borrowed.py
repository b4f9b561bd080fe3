"""From which edits an unseen one borrows, and how much."""

from __future__ import annotations

import numpy as np
import pandas as pd

from semimech._errors import DataError
from semimech.fit import FittedModel
from semimech.model import Protocol

_COLUMNS = ("donor", "share", "likeness", "contribution")


def borrowed_from(model: FittedModel, protocol: Protocol, gene: str | None = None) -> pd.DataFrame:
    """Name the edits from which the prediction of an unseen edit borrows.

    Parameters
    ----------
    model
        The fitted model.
    protocol
        An experiment, its one-line form, or steps; up to its end, whatever is harvested on the way.
    gene
        A measured gene, for what each donor adds to its prediction.

    Returns
    -------
    pandas.DataFrame
        One row per edit of training, the largest share first: ``donor``, the edited gene; ``share`` of its measured change that is added to the
        prediction, after all that inner validation found; ``likeness``, the part of that share that is beyond those of the mean over
        edits, and negative for edits that are less like it than most; and ``contribution`` to the predicted mean of ``gene``, observed scale, NaN
        without one, 0 for an edited gene itself. No row where every edit was trained on. Where only some of several edits are unseen, the mean
        is what all edits of those times have in common (`semimech.fit.linear`), of which equal shares of the donors are an approximation.

    Raises
    ------
    ExperimentError
        If the protocol cannot be read or carried out.
    DataError
        Listing genes and media that the model does not know, or naming a gene that it does not predict.
    """
    if gene is not None and gene not in model.genes:
        raise DataError(f"gene {gene!r} is not measured, so nothing is predicted of it")
    condition = model.operator(protocol).condition
    loan = model.loan(condition)
    if loan is None:
        return pd.DataFrame({name: [] for name in _COLUMNS})
    trust = np.asarray(model.fit.trust, np.float64)
    column = None if gene is None else model.genes.index(gene)
    is_own = gene is not None and gene in {edit.gene for edit in condition.edits}
    rows = []
    for donor, (equal, beyond, change) in loan.shares.items():
        share = float(trust[3] * equal + trust[4] * beyond)
        contribution = np.nan if column is None else 0.0 if is_own else share * float(change[column])
        rows.append((donor, share, float(trust[4] * beyond), contribution))
    table = pd.DataFrame(rows, columns=list(_COLUMNS))
    return table.sort_values("share", ascending=False, kind="stable", ignore_index=True)
