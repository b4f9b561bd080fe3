r"""How much the order of two protocols matters: the size of non-commutation, gene by gene.

.. math:: \Delta = M\bigl(F_b F_a x_0\bigr) - M\bigl(F_a F_b x_0\bigr)

with :math:`x_0` unedited cells and :math:`M` the observed scale.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import norm

from semimech.fit.fitted import FittedModel
from semimech.model import Protocol

_QUANTILE = float(norm.ppf(0.95))


@dataclass(frozen=True, kw_only=True)
class OrderEffect:
    """What changes if two protocols change places.

    Parameters
    ----------
    table
        One row per gene, largest difference first: ``gene``; ``a_then_b`` and ``b_then_a``, observed means predicted for
        either order; ``difference``, the first less the second; its ``standard_error``; and ``lower`` and ``upper``, its
        90 % interval.
    size
        Root mean square of the difference over genes, observed scale.
    standard_error
        Root mean square of the genes' standard errors, which bounds the error of ``size`` (triangle inequality): a size
        of no more than about this is no sign that order matters.
    """

    table: pd.DataFrame
    size: float
    standard_error: float


def order_effect(model: FittedModel, first: Protocol, second: Protocol, *, then: Protocol = ()) -> OrderEffect:
    """Predict two protocols in either order from unedited cells, and take the difference.

    The difference is all that the order changes: also how long each edit has been in force by the end. What is done at one
    moment commutes; to ask about changes made one right after the other, let ``then`` do the waiting.

    Both orders are predicted as `FittedModel.predict` does: by the laws of the members (`FittedModel.operator`), and with what
    was measured of an order, or of its parts, beside them.

    The standard error of a difference adds in quadrature the spread of the members, which says how well the data determine
    the difference within the model, and the errors of the two predictions, which say how far the model was from
    harvests that it had not seen (the intervals of `FittedModel.predict`): of single orders, as if independent, which
    is cautious. Members are fitted to edits re-weighted at random (a Bayesian bootstrap, Rubin 1981, with weights half as
    variable). Where both orders are one and the same history, nothing differs and the error is zero.

    Parameters
    ----------
    model
        The fitted model.
    first, second
        What is done, for instance ``"edit GATA1 > wait 48h"`` and ``"medium EPO > wait 48h"``.
    then
        What is done after both, in either order.

    Raises
    ------
    ExperimentError
        If a protocol cannot be read, or a gene is edited in both.
    DataError
        Listing genes and media that the model does not know.
    """
    a, b, end = model.operator(first), model.operator(second), model.operator(then)
    orders = (end @ b @ a, end @ a @ b)
    each = [model.scale.to_observed(np.maximum(o.members(o.unedited)[:, 0], 0.0)) for o in orders]
    difference = each[0] - each[1]
    either, error = np.mean(each, axis=1), np.zeros(difference.shape[1])
    if orders[0].condition != orders[1].condition:
        predicted = model.predict_conditions([o.condition for o in orders])
        misfit = (predicted.upper - predicted.lower) / (2.0 * _QUANTILE)
        error = np.sqrt(difference.var(axis=0, ddof=min(len(difference) - 1, 1)) + (misfit**2).sum(axis=0))
        either = predicted.mean
    mean = either[0] - either[1]
    table = pd.DataFrame(
        {
            "gene": list(model.genes),
            "a_then_b": either[0],
            "b_then_a": either[1],
            "difference": mean,
            "standard_error": error,
            "lower": mean - _QUANTILE * error,
            "upper": mean + _QUANTILE * error,
        }
    )
    return OrderEffect(
        table=table.sort_values("difference", key=np.abs, ascending=False, ignore_index=True, kind="stable"),
        size=float(np.sqrt(np.mean(mean**2))),
        standard_error=float(np.sqrt(np.mean(error**2))),
    )
