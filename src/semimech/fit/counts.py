"""A loss on counts: the negative binomial likelihood of all cells, each condition integrated once."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from semimech.data import Dataset
from semimech.data.batch_effect import MIN_CONTROLS
from semimech.data.count_law import CountLaw, count_law
from semimech.data.findings import listed
from semimech.model import Plan

_CHUNK = 32
_LEAST_RATIO = 1e-4
_PSEUDO_COUNT = 0.1


class CountTable(eqx.Module):
    r"""What the likelihood needs of the counts, see `semimech.data.count_groups.CountGroups`.

    Parameters
    ----------
    row
        Row of the problem of each group; the last row in the padding.
    log_saturated
        Logarithm of each condition's own expression, in units of that of unedited cells.
    total
        Sum of the counts of each row.
    size
        :math:`S + n/\alpha` of each group; zero in the padding.
    bend
        :math:`\alpha\mu/(1 + \alpha\mu)` of each group, at its condition's own expression.
    weight
        Weight of each row's deviance, zero in the padding.
    no_change
        Weighted mean deviance of predicting matched controls, without the edited genes: the unit of the loss.
    is_linked
        Batches whose factors are known from controls that they share with others.
    """

    row: Int[np.ndarray, " group"]
    log_saturated: Float[np.ndarray, "row gene"]
    total: Float[np.ndarray, "row gene"]
    size: Float[np.ndarray, "group gene"]
    bend: Float[np.ndarray, "group gene"]
    weight: Float[np.ndarray, "row gene"]
    no_change: Float[np.ndarray, ""]
    is_linked: Bool[np.ndarray, " batch"]

    def deviance(self, log_relative: Float[Array, "row gene"]) -> Float[Array, "row gene"]:
        r"""Twice the log-likelihood that is lost against each condition's own expression, from sums that stay small.

        .. math:: D = -2 \Bigl[S u - \sum_k (S_k + n_k/\alpha) \log\bigl(1 + q_k (e^u - 1)\bigr)\Bigr], \qquad u = \log z - \log \hat z
        """
        away = log_relative - self.log_saturated
        lost = self.size * jnp.log1p(self.bend * jnp.expm1(away[self.row]))
        by_row = jax.ops.segment_sum(lost, self.row, self.total.shape[0], indices_are_sorted=True)
        return -2.0 * (self.total * away - by_row)


def make_counts(
    dataset: Dataset,
    plan: Plan,
    *,
    unit: Float[np.ndarray, " gene"],
    scored: Bool[np.ndarray, "condition gene"],
) -> CountTable:
    r"""Sum the counts of a data set for a fit.

    Deviances are in units of their chance value, 1 per condition and gene, however many cells there are; what no model will fit
    would then make deep conditions and genes take over. As in the loss on pseudobulks, each is therefore divided by
    :math:`1 + I v`, with :math:`I` the information on the condition's log expression and :math:`v` its typical squared change
    beyond chance. Shallow data keep their likelihood as it is.

    Parameters
    ----------
    dataset
        Training conditions, with cells and counts.
    plan
        The conditions, compiled: its padding is taken over.
    unit
        State of unedited cells.
    scored
        Conditions and genes that tell the size of the changes.

    Raises
    ------
    DataError
        If there are no counts.
    """
    law = count_law(dataset)
    unedited = _unedited_expression(dataset, law, unit)
    saturated = np.maximum(law.expression, _PSEUDO_COUNT / law.exposed) / unedited
    saturated = np.where(law.counts.sum(axis=1, keepdims=True) > 0, saturated, 1.0)
    groups, alpha = law.groups, law.dispersion.value
    factor = groups.exposure[:, None] * law.batches.factor[groups.batch]
    spread = alpha * factor * (saturated * unedited)[groups.condition]
    n_rows, n_groups = plan.n_rows, _CHUNK * -(-len(groups.n) // _CHUNK)
    rows = ((0, n_rows - len(dataset.conditions)), (0, 0))
    more = ((0, n_groups - len(groups.n)), (0, 0))
    total = np.zeros_like(saturated)
    np.add.at(total, groups.condition, groups.total)
    table = CountTable(
        row=np.pad(groups.condition, more[0], constant_values=n_rows - 1).astype(np.int32),
        log_saturated=np.pad(np.log(saturated), rows).astype(np.float32),
        total=np.pad(total, rows).astype(np.float32),
        size=np.pad(groups.total + groups.n[:, None] / alpha, more).astype(np.float32),
        bend=np.pad(spread / (1.0 + spread), more).astype(np.float32),
        weight=np.zeros((n_rows, len(unit)), np.float32),
        no_change=np.array(1.0, np.float32),
        is_linked=law.batches.is_linked,
    )
    relative = np.stack([dataset.scale.to_state(dataset.matched_control(c)) for c in dataset.conditions]) / unit
    unchanged = np.asarray(
        table.deviance(jnp.log(jnp.maximum(np.pad(relative, rows, constant_values=1.0), _LEAST_RATIO)))
    )
    unchanged = unchanged[: len(saturated)].astype(np.float64)
    information = law.counts
    beyond = max(float((unchanged - 1.0)[scored].sum()), 1e-6 * float(information[scored].sum()))
    weight = 1.0 / (1.0 + information * beyond / max(float(information[scored].sum()), 1e-12))
    no_change = max(float((weight * unchanged)[scored].mean()), 1e-12)
    return eqx.tree_at(
        lambda t: (t.weight, t.no_change),
        table,
        (np.pad(weight, rows).astype(np.float32), np.array(no_change, np.float32)),
    )


def count_term(states: Float[Array, "row gene"], counts: CountTable, row: Float[Array, " row"]) -> Float[Array, ""]:
    """Weighted mean deviance of relative states; 1 is that of predicting no change."""
    deviance = (counts.weight * counts.deviance(jnp.log(jnp.maximum(states, _LEAST_RATIO)))).mean(axis=1)
    return jnp.sum(row * deviance) / (jnp.maximum(jnp.sum(row), 1e-6) * counts.no_change)


def batch_notes(dataset: Dataset, counts: CountTable | None) -> tuple[str, ...]:
    """Which batches' factors are unknown, in words."""
    if counts is None or len(counts.is_linked) < 2 or counts.is_linked.all() or dataset.cells is None:
        return ()
    names = dataset.cells.batches or tuple(map(str, range(len(counts.is_linked))))
    lonely = listed(name for name, is_linked in zip(names, counts.is_linked, strict=True) if not is_linked)
    return (
        f"Batches without {MIN_CONTROLS} controls to compare with those of another batch: {lonely}. What these batches do to genes "
        "is taken for nothing, and may pass for effects of their edits.",
    )


def _unedited_expression(
    dataset: Dataset, law: CountLaw, unit: Float[np.ndarray, " gene"]
) -> Float[np.ndarray, " gene"]:
    """Expression at which the relative state is one.

    The unit of the state is read from means of logarithms, where dispersion shifts it by a factor per gene: the ratio of
    expression to state over the cells that the unit is of.
    """
    rows = dataset.is_stationary_control if dataset.is_stationary_control.any() else dataset.is_control
    rows = rows if rows.any() else np.ones(len(rows), dtype=bool)
    cells, least = dataset.n_cells[rows], 0.02 * float(np.median(unit))
    expression = np.average(law.expression[rows], axis=0, weights=cells) + least
    state = np.maximum(dataset.scale.to_state(np.average(dataset.mean[rows], axis=0, weights=cells)), 0.0) + least
    return unit * expression / state
