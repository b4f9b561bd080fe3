"""A fitted model as structural causal models, one for each member, with direct and total effects as a table."""

from __future__ import annotations

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from semimech.fit import FittedModel
from semimech.model import LinearSCM, Protocol, context_arrays, linearise, split_trained


def to_scm(model: FittedModel, protocol: Protocol = ()) -> tuple[LinearSCM, ...]:
    r"""Linearise a model around its settled state in the last context of a protocol.

    Variables are relative abundances, 1 in unedited cells. Residuals that predictions carry over are no part of it.

    Parameters
    ----------
    model
        A fitted model.
    protocol
        What was done to the cells; nothing for unedited cells in the maintenance medium.

    Returns
    -------
    tuple of LinearSCM
        One for each member of the ensemble.

    Raises
    ------
    ExperimentError
        If the protocol cannot be carried out.
    ValueError
        If a member does not settle.
    """
    operator = model.operator(protocol)
    context = jax.tree.map(lambda leaf: leaf[0], context_arrays([operator.contexts[-1]], operator.roster))
    trained, fixed = split_trained(operator.laws)
    found = []
    for member in range(operator.n_members):
        law = eqx.combine(jax.tree.map(lambda leaf, member=member: leaf[member], trained), fixed)
        start = jnp.broadcast_to(jnp.exp(jnp.asarray(law.log_initial)), (len(operator.roster.genes),))
        found.append(linearise(law.dynamics, start, context, operator.solver, genes=operator.roster.genes))
    return tuple(found)


def scm_table(models: Sequence[LinearSCM], *, least: float = 0.01) -> pd.DataFrame:
    """Direct and total effects between genes, mean over members with their spread, the largest total effects first.

    Parameters
    ----------
    models
        Members, of the same genes.
    least
        Smallest effect, direct or total, that is listed.

    Returns
    -------
    pandas.DataFrame
        Columns ``source``, ``target``, ``direct``, ``direct_spread``, ``total``, ``total_spread``; the last two per change of the
        source's production.

    Raises
    ------
    ValueError
        If there is no model, or their genes differ.
    """
    if len({model.genes for model in models}) != 1:
        raise ValueError("give the members of one model, as to_scm returns them: at least one, all of the same genes")
    direct = np.stack([m.matrix for m in models])
    total = np.stack([m.total_effects for m in models])
    size = np.maximum(np.abs(direct.mean(axis=0)), np.abs(total.mean(axis=0)))
    np.fill_diagonal(size, 0.0)
    target, source = np.nonzero(size >= least)
    genes = np.array(models[0].genes, dtype=object)
    columns: dict[str, np.ndarray] = {"source": genes[source], "target": genes[target]}
    for name, values in (("direct", direct), ("total", total)):
        columns[name] = values.mean(axis=0)[target, source]
        columns[f"{name}_spread"] = values.std(axis=0, ddof=min(len(values) - 1, 1))[target, source]
    table = pd.DataFrame(columns)
    return table.sort_values("total", key=np.abs, ascending=False, ignore_index=True, kind="stable")
