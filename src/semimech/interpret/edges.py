"""The learned network with signs, how steadily the ensemble holds each edge, and how it compares with a known one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score

from semimech._errors import DataError, raise_faults
from semimech.fit import FittedModel
from semimech.model import wiring

LEAST_WEIGHT = 0.01


def signed_edges(model: FittedModel, *, least: float = LEAST_WEIGHT) -> pd.DataFrame:
    """Edges by size, each with its sign and the share of the ensemble that holds it.

    Inclusion is a share of the ensemble's members, each fitted to edits re-weighted at random (a Bayesian bootstrap over edits, with weights
    half as variable) and with one of the settings that inner validation could not tell apart. It says how far an edge depends on
    which edits were weighted up and on these settings; it is no posterior probability, and an edge that all members share can be wrong
    in all of them.

    Parameters
    ----------
    model
        The fitted model.
    least
        Size from which a member's weight counts as an edge: the first-order change of the target's relative production by
        the whole of the regulator's signal, so that 0.01 is one per cent of the production in unedited cells.

    Returns
    -------
    pandas.DataFrame
        Columns ``source``, ``target``; ``weight``, the mean over members, and ``spread``, its standard deviation over them;
        ``sign``, 1 or -1, of the mean; ``inclusion``, the share of members whose weight has that sign and at least that
        size. Edges that no member holds are left out. A Neural ODE has no edges and gives an empty table.

    Raises
    ------
    ValueError
        If ``least`` is not above 0.
    """
    if not least > 0:
        raise ValueError(f"least must be above 0, got {least:g}")
    columns = ("source", "target", "weight", "spread", "sign", "inclusion")
    mechanism = wiring(model.fit.members.dynamics)
    if mechanism is None:
        return pd.DataFrame({name: [] for name in columns})
    weight = np.asarray(mechanism.full(), np.float64)
    mean = weight.mean(axis=0)
    inclusion = (weight * np.sign(mean) >= least).mean(axis=0)
    target, source = np.nonzero(inclusion > 0)
    edges = pd.DataFrame(
        {
            "source": np.array(model.roster.regulators, dtype=object)[source],
            "target": np.array(model.genes, dtype=object)[target],
            "weight": mean[target, source],
            "spread": weight.std(axis=0, ddof=min(len(weight) - 1, 1))[target, source],
            "sign": np.sign(mean[target, source]).astype(int),
            "inclusion": inclusion[target, source],
        }
    )
    return edges.sort_values("weight", key=np.abs, ascending=False, ignore_index=True, kind="stable")


@dataclass(frozen=True, kw_only=True)
class Recovery:
    """How well a ranked network recovers a known one.

    Parameters
    ----------
    auprc
        Area under the curve of precision and recall, as average precision.
    chance
        What a ranking at random reaches: the share of candidate pairs that are known edges.
    n_known
        Known edges among the candidates.
    n_candidates
        Pairs that were ranked.
    sign_agreement
        Share of known edges of known sign, among those in the ranked network, whose sign agrees; NaN if there is none.
    """

    auprc: float
    chance: float
    n_known: int
    n_candidates: int
    sign_agreement: float


def recovery(edges: pd.DataFrame, known: pd.DataFrame, *, sources: list[str], targets: list[str]) -> Recovery:
    """Score a network against a known one over all pairs of a source and another target.

    Pairs are ranked by the size of their weight; those without an edge share the last place.

    Parameters
    ----------
    edges
        Columns ``source``, ``target`` and ``weight``, for instance of `signed_edges`.
    known
        Columns ``source``, ``target`` and, if known, ``sign`` (1, -1, or 0 for unknown).
    sources, targets
        Genes between which edges could have been found. Name as sources only regulators that the known network speaks
        about: a pair that it lacks counts as no edge.

    Raises
    ------
    DataError
        Listing columns that are missing; or if no known edge lies among the candidates, or every pair is one.
    """
    faults = [
        f"the {what} network has no column {name!r}"
        for what, table, names in (
            ("ranked", edges, ("source", "target", "weight")),
            ("known", known, ("source", "target")),
        )
        for name in names
        if name not in table.columns
    ]
    raise_faults(DataError, "network recovery", faults)
    pairs = pd.MultiIndex.from_product([dict.fromkeys(sources), dict.fromkeys(targets)], names=["source", "target"])
    pairs = pairs[pairs.get_level_values("source") != pairs.get_level_values("target")]
    weight = (
        edges.drop_duplicates(["source", "target"])
        .set_index(["source", "target"])["weight"]
        .astype(float)
        .reindex(pairs)
    )
    truth = known.drop_duplicates(["source", "target"]).set_index(["source", "target"])
    is_known = pairs.isin(truth.index)
    n_known = int(is_known.sum())
    if n_known in (0, len(pairs)):
        raise DataError(
            f"network recovery: {n_known} of {len(pairs)} candidate pairs are known edges; name sources and targets "
            "between which some are and some are not"
        )
    agreement = float("nan")
    if "sign" in truth.columns:
        sign = truth["sign"].reindex(pairs).to_numpy(dtype=float)
        is_signed = is_known & (np.nan_to_num(sign) != 0) & (np.nan_to_num(weight.to_numpy()) != 0)
        if is_signed.any():
            agreement = float((np.sign(weight.to_numpy()[is_signed]) == np.sign(sign[is_signed])).mean())
    return Recovery(
        auprc=float(average_precision_score(is_known, weight.abs().fillna(0.0))),
        chance=n_known / len(pairs),
        n_known=n_known,
        n_candidates=len(pairs),
        sign_agreement=agreement,
    )
