"""Arms: models like a given one with one assumption imposed or lifted, what they are trained on and how they are asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd
from jaxtyping import Float

from semimech.assumptions.catalogue import (
    ACYCLIC,
    ADDITIVE,
    ALIKE_EDITS,
    COMMUTING,
    INSTANTANEOUS,
    KNOWN_WIRING,
    MEDIUM_INDEPENDENT,
    SETTLED,
    SHARED_RESPONSE,
    STATIONARY_CONTROLS,
)
from semimech.data import Dataset
from semimech.evaluate.histories import (
    Telling,
    alone,
    as_labels,
    edited_only,
    ending_at,
    in_maintenance,
    of_edits,
    unedited,
)
from semimech.experiment import Condition, Edit
from semimech.fit import FitConfig, FittedModel
from semimech.model import PriorNetwork

SEED = "another seed"
"""The arm that changes nothing but the seed: how far refits differ by chance."""
TURNOVER_HOURS = 24.0
"""Time constant with which edits set in where they are not taken as instantaneous."""
MOST_ORDERED_GENES = 500
"""Genes up to which a network without feedback is tried: its mask lists all pairs."""

Ask: TypeAlias = Callable[[FittedModel, Sequence[Condition]], Float[np.ndarray, "condition gene"]]


def directly(model: FittedModel, conditions: Sequence[Condition]) -> Float[np.ndarray, "condition gene"]:
    """Means as the model predicts them."""
    return model.predict_conditions(conditions).mean


@dataclass(frozen=True, kw_only=True)
class Arm:
    """A model like the base with one thing changed.

    Parameters
    ----------
    assumption
        Id of the assumption; `SEED` for none.
    change
        Whether it is imposed or lifted; the base does the other.
    how
        By what, in words.
    dataset, config, prior
        What to fit, and how.
    ask
        Means that the fitted model predicts of conditions.
    """

    assumption: str
    change: Literal["imposed", "lifted", "none"]
    how: str
    dataset: Dataset
    config: FitConfig
    prior: PriorNetwork | None
    ask: Ask = directly


def make_arms(
    base: FittedModel, train: Dataset, config: FitConfig, prior: PriorNetwork | None, asked: Sequence[Condition]
) -> tuple[Arm, ...]:
    """Every assumption that the model can impose or lift on these data, one arm each.

    Parameters
    ----------
    base
        The model as it is.
    train
        What it was fitted to.
    config, prior
        How.
    asked
        Conditions that will be predicted.
    """
    same = Arm(
        assumption=SEED,
        change="none",
        how="nothing but the seed",
        dataset=train,
        config=replace(config, seed=config.seed + 1),
        prior=prior,
    )
    own = replace(same, config=config)
    return (
        same,
        *_of_unedited_cells(own),
        *_of_histories(own, asked),
        *_of_wiring(own, base),
        *_of_likeness(own, base),
    )


def _of_unedited_cells(own: Arm) -> list[Arm]:
    train, system = own.dataset, own.dataset.system
    still = train.is_stationary_control
    lifted = replace(own, assumption=STATIONARY_CONTROLS.id, change="lifted")
    if system.is_stationary and len(set(train.hours[still])) > 1:
        moving = replace(system, is_differentiating=True, start=None)
        config = replace(own.config, steady_state="none")
        how = "unedited cells may move, and start where they are found to"
        return [replace(lifted, how=how, dataset=replace(train, system=moving), config=config)]
    if system.is_differentiating and system.environment == "in-vitro" and still.any():
        resting = replace(train, system=replace(system, is_differentiating=False, start=None))
        how = "unedited cells of all times are one settled pool"
        pooled = Telling(send=lambda c: ending_at(np.inf)(c) if c.is_control and c.media == (None,) else c)
        return [_told(replace(own, assumption=STATIONARY_CONTROLS.id, how=how, dataset=resting), pooled)]
    return []


def _of_histories(own: Arm, asked: Sequence[Condition]) -> list[Arm]:
    train = own.dataset
    conditions = [*train.conditions, *asked]
    edited = [c for c in conditions if not c.is_control]
    arms = []
    timed = [c.hours for c in edited if 0 < c.hours < np.inf]
    if timed:
        end = np.inf if train.system.is_stationary else max(timed)
        settled = Telling(send=edited_only(ending_at(end)), is_effect=True)
        how = "the effect at every harvest is taken for the settled one"
        arms.append(_told(replace(own, assumption=SETTLED.id, how=how), settled))
        slowly = Telling(send=of_edits(_slowed))
        how = f"edits set in with a time constant of {TURNOVER_HOURS:g} h"
        lifted = _told(replace(own, assumption=INSTANTANEOUS.id, how=how), slowly)
        arms.append(replace(lifted, change="lifted"))
    if any(as_labels(c) != c for c in conditions):
        how = "edits and media are labels, in force from the start"
        arms.append(_told(replace(own, assumption=COMMUTING.id, how=how), Telling(send=as_labels)))
    if len({c.media for c in edited}) > 1 and train.is_control.any():
        how = "the effect of an edit in every medium is taken for that in the maintenance medium"
        everywhere = Telling(send=edited_only(in_maintenance), is_effect=True)
        arms.append(_told(replace(own, assumption=MEDIUM_INDEPENDENT.id, how=how), everywhere))
    if any(len(c.edits) > 1 for c in edited):
        how = "a combination is predicted as the sum of its edits"
        arms.append(replace(own, assumption=ADDITIVE.id, change="imposed", how=how, ask=_summed))
    return arms


def _of_wiring(own: Arm, base: FittedModel) -> list[Arm]:
    arms = []
    if own.prior is not None:
        arms.append(
            replace(own, assumption=KNOWN_WIRING.id, change="lifted", how="without the prior network", prior=None)
        )
    edges = base.network()
    if len(edges) and len(base.genes) <= MOST_ORDERED_GENES:
        order = causal_order(base.genes, edges)
        pairs = [(cause, effect) for i, cause in enumerate(order) for effect in order[i + 1 :]]
        if own.prior is not None and own.prior.use == "mask":
            known = set(zip(own.prior.edges["source"], own.prior.edges["target"], strict=True))
            pairs = [pair for pair in pairs if pair in known]
        if pairs:
            mask = PriorNetwork(edges=pd.DataFrame(pairs, columns=["source", "target"]), use="mask")
            how = "edges against the order that the network keeps best are forbidden"
            arms.append(replace(own, assumption=ACYCLIC.id, change="imposed", how=how, prior=mask))
    return arms


def _of_likeness(own: Arm, base: FittedModel) -> list[Arm]:
    arms = []
    if own.config.pooling == "validated":
        config = replace(own.config, pooling="none")
        how = "unseen edits are not pooled with each other, and borrow nothing"
        arms.append(replace(own, assumption=SHARED_RESPONSE.id, change="lifted", how=how, config=config))
    if (base.record.likeness["strength"] > 0).any():
        config = replace(own.config, borrowing="none")
        how = "unseen edits borrow nothing from those that are like them"
        arms.append(replace(own, assumption=ALIKE_EDITS.id, change="lifted", how=how, config=config))
    return arms


def causal_order(genes: Sequence[str], edges: pd.DataFrame) -> tuple[str, ...]:
    r"""Genes in an order that few heavy edges run against, by taking those first that act more than they are acted on.

    The greedy heuristic for the feedback arc set, with weights :math:`|W|` (Eades, Lin & Smyth 1993, Information Processing Letters 47:319).

    Parameters
    ----------
    genes
        Genes to order.
    edges
        Columns ``source``, ``target`` and ``weight``; those between other nodes are passed over.
    """
    place = {gene: i for i, gene in enumerate(genes)}
    weight = np.zeros((len(genes), len(genes)))
    inside = edges[edges["source"].isin(place) & edges["target"].isin(place)]
    weight[inside["source"].map(place).to_numpy(int), inside["target"].map(place).to_numpy(int)] = np.abs(
        inside["weight"].to_numpy(float)
    )
    np.fill_diagonal(weight, 0.0)
    surplus = weight.sum(axis=1) - weight.sum(axis=0)
    order = []
    for _ in genes:
        first = int(np.argmax(surplus))
        order.append(genes[first])
        surplus += weight[first] - weight[:, first]
        surplus[first] = -np.inf
    return tuple(order)


def _told(arm: Arm, telling: Telling) -> Arm:
    """The arm whose model is told less, or something else, of what was done."""
    dataset = arm.dataset

    def ask(model: FittedModel, conditions: Sequence[Condition]) -> Float[np.ndarray, "condition gene"]:
        back = np.array([telling.shift(dataset, c) for c in conditions]).reshape(len(conditions), len(model.genes))
        return directly(model, [telling.send(c) for c in conditions]) - back

    return replace(arm, change="imposed", dataset=telling.data(dataset), ask=ask)


def _slowed(edit: Edit) -> Edit:
    is_delayed = bool(edit.onset_hours or edit.turnover_hours)
    return edit if is_delayed or edit.kind == "drug" else replace(edit, turnover_hours=TURNOVER_HOURS)


def _summed(model: FittedModel, conditions: Sequence[Condition]) -> Float[np.ndarray, "condition gene"]:
    """Unedited cells and the changes by each edit alone."""
    found = directly(model, conditions)
    for row, condition in enumerate(conditions):
        if len(condition.edits) > 1:
            parts = directly(model, [unedited(condition), *(alone(edit)(condition) for edit in condition.edits)])
            found[row] = parts[0] + (parts[1:] - parts[0]).sum(axis=0)
    return found
