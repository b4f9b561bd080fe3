r"""What each prediction is made of: mechanism, learned residual, carried-over residual, pooling.

.. math:: \Delta = \Delta_{\rm mechanism} + \Delta_{\rm learned} + \Delta_{\rm carried} + \Delta_{\rm pooling}

exactly, where :math:`\Delta` is the predicted change against unedited cells of the same age in the maintenance medium.
"""

from __future__ import annotations

from collections.abc import Sequence

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pandas as pd

from semimech.experiment import Condition, Context, Period
from semimech.fit import FittedModel
from semimech.fit.loss import correction
from semimech.fit.members import predict_members
from semimech.model import CellModel

PARTS = ("mechanism", "learned_residual", "carried_residual", "pooling")
"""What a predicted change is made of."""


def decompose(model: FittedModel, conditions: Sequence[Condition]) -> pd.DataFrame:
    """Split the predicted change of every gene into parts that sum to it.

    Parameters
    ----------
    model
        The fitted model.
    conditions
        What to predict, for instance ``experiment.conditions.values()`` or ``model.training``.

    Returns
    -------
    pandas.DataFrame
        One row per condition and gene, observed scale: ``perturbation``, ``hours``, ``medium``, ``gene``; ``control``, the
        prediction for unedited cells after the same time in the maintenance medium, and ``predicted``; ``change``, the
        second less the first; and its parts. ``mechanism`` is the change by the law without its neural part: production along
        the network, minus degradation. ``learned_residual`` is what the neural part adds to that (all but an edit's effect on its own
        gene, in a Neural ODE). ``carried_residual`` is the share of what the fit missed at the nearest harvests of the same
        edits, or of the parts of a combination; ``pooling`` the rest: what moves an edit that was not trained on towards what all
        edits have in common, and a combination towards the sum of its parts.

    Raises
    ------
    DataError
        Listing genes and media that the model does not know.
    """
    asked = [model.system.resolve(condition) for condition in conditions]
    controls = {
        hours: Condition(history=(Period(context=Context(), hours=hours),)) for hours in {c.hours for c in asked}
    }
    rows = [*asked, *controls.values()]
    control_row = {hours: len(asked) + number for number, hours in enumerate(controls)}
    against = [control_row[condition.hours] for condition in asked]
    corrected = model.corrected(rows)
    predicted = corrected.mean
    law, mechanism = (
        _members_mean(model, members, rows) for members in (model.fit.members, _without_network(model.fit.members))
    )
    values = {
        "mechanism": mechanism,
        "learned_residual": law - mechanism,
        "carried_residual": corrected.carried,
        "pooling": predicted - corrected.carried - law,
    }
    n, n_genes = len(asked), len(model.genes)
    table = pd.DataFrame(
        {
            "perturbation": np.repeat([c.perturbation for c in asked], n_genes),
            "hours": np.repeat([float(c.hours) for c in asked], n_genes),
            "medium": np.repeat([c.medium or model.maintenance_medium for c in asked], n_genes),
            "gene": np.tile(np.array(model.genes, dtype=object), n),
            "control": predicted[against].ravel(),
            "predicted": predicted[:n].ravel(),
            "change": (predicted[:n] - predicted[against]).ravel(),
        }
    )
    return table.assign(**{name: (each[:n] - each[against]).ravel() for name, each in values.items()})


def shares(parts: pd.DataFrame, *, by: str = "gene") -> pd.DataFrame:
    r"""The share of each part in the predicted changes, per gene or per perturbation.

    The share of a part is :math:`\sum p\,\Delta / \sum \Delta^2`, its projection on the changes, so that the shares of all parts
    sum to one, large changes count most, and a part that works against the change has a negative share.

    Parameters
    ----------
    parts
        From `decompose`.
    by
        Column to group by, for instance ``"gene"`` or ``"perturbation"``.

    Returns
    -------
    pandas.DataFrame
        Columns ``by``, ``size`` (root mean square of the change, observed scale) and the parts; NaN where nothing changes.
    """
    products = parts[list(PARTS)].mul(parts["change"], axis=0).assign(squared=parts["change"] ** 2, n=1.0)
    sums = products.groupby(parts[by], sort=False).sum()
    found = sums[list(PARTS)].div(sums["squared"].where(sums["squared"] > 0), axis=0)
    found.insert(0, "size", np.sqrt(sums["squared"] / sums["n"]))
    return found.reset_index()


def _members_mean(model: FittedModel, members: CellModel, conditions: Sequence[Condition]) -> np.ndarray:
    found = predict_members(members, model.plan(conditions), model.solver)
    return np.asarray(found, np.float64).mean(axis=0)[: len(conditions)]


def _without_network(members: CellModel) -> CellModel:
    """The members with the output of their neural part at zero."""
    network = correction(members.dynamics)
    if network is None:
        return members
    zeros = (jnp.zeros_like(network.leave), jnp.zeros_like(network.leave_bias))
    silent = eqx.tree_at(lambda net: (net.leave, net.leave_bias), network, zeros)
    return eqx.tree_at(lambda m: correction(m.dynamics), members, silent)
