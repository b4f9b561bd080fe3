"""Why a gene is predicted to change: the paths that carry the effect, and what is added to the law, summing to the prediction."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float

from semimech._errors import DataError
from semimech.fit import FittedModel
from semimech.interpret.borrowed import borrowed_from
from semimech.interpret.parts import PARTS, decompose
from semimech.interpret.paths import path_contributions
from semimech.interpret.secant import Difference, difference
from semimech.model import Protocol

OTHER_PATHS = "all other paths"
_COLUMNS = ("term", "kind", "source", "n_edges", "contribution", "spread", "agreement")


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """What a predicted change of one gene is made of.

    Parameters
    ----------
    gene
        The gene.
    perturbation, hours
        What was done, and how long ago it began.
    control, predicted
        Predicted observed means of unedited cells after the same time in the maintenance medium, and of the edited ones.
    table
        One row per term, the contributions of which sum to ``predicted - control``: ``term``, for instance ``"GATA1 → KLF1 ⊣ HBB"``; ``kind``, ``"path"``,
        ``"other paths"``, ``"borrowed"``, ``"carried residual"`` or ``"pooling"``; ``source``, the edited gene, ``"medium …"``, ``"any edit"``, or the
        edit from which an unseen one borrows (`borrowed_from`); ``n_edges``;
        ``contribution``, observed scale, the mean over members of the ensemble; ``spread``, its standard deviation over them;
        and ``agreement``, the share of members that give it this sign. The last two say nothing of terms that members do not have.
    """

    gene: str
    perturbation: str
    hours: float
    control: float
    predicted: float
    table: pd.DataFrame

    @property
    def change(self) -> float:
        """The predicted change against unedited cells, observed scale."""
        return self.predicted - self.control


def explain(model: FittedModel, protocol: Protocol, gene: str, *, max_edges: int = 4, n_paths: int = 12) -> Explanation:
    """Trace the predicted change of a gene at the end of a protocol back to what was done.

    The change by the law obeys a linear system along the course of the cells, exactly (`semimech.interpret.secant`), and so is a sum over
    all paths through the network. Paths of up to ``max_edges`` edges are followed one by one, the largest are listed, and
    the row "all other paths" holds what is left of the law's change: paths that are weaker or longer, and errors of integration. Then follow what the prediction
    adds to the law; of what an unseen edit borrows from others, the largest parts. A contribution is a statement about the model, not about the cells: see `signed_edges` for how firmly the ensemble
    holds the edges on the way.

    Parameters
    ----------
    model
        The fitted model.
    protocol
        An experiment, its one-line form, or steps; up to its end, whatever is harvested on the way.
    gene
        A measured gene.
    max_edges
        Edges of the longest path that is followed, at least 1.
    n_paths
        Paths to list, at least 1.

    Raises
    ------
    ExperimentError
        If the protocol cannot be read or carried out.
    DataError
        Listing genes and media that the model does not know.
    ValueError
        If ``max_edges`` or ``n_paths`` is below 1.
    """
    if max_edges < 1 or n_paths < 1:
        raise ValueError(f"max_edges and n_paths must be at least 1, got {max_edges} and {n_paths}")
    if gene not in model.genes:
        near = difflib.get_close_matches(gene, model.genes, n=3)
        hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else f"; measured are {len(model.genes)} genes"
        raise DataError(f"explain: gene {gene!r} is not measured, so nothing is predicted of it{hint}")
    condition = model.operator(protocol).condition
    column = model.genes.index(gene)
    row = decompose(model, [condition]).iloc[column]
    parts = {name: float(row[name]) for name in ("control", "predicted", *PARTS)}
    found = difference(model.fit.members, model.roster, model.solver, condition)
    own = tuple(model.genes.index(source) if source in model.genes else None for source in found.sources)
    by_path = path_contributions(found, column, own=own, max_edges=max_edges)
    slope = _observed_slope(model, found, column)
    ranked = sorted(by_path, key=lambda path: -abs(float((slope * by_path[path]).mean())))
    rows = [
        _row(_words(found, model.genes, *path), "path", slope * by_path[path], found.sources[path[0]], len(path[1]))
        for path in ranked[:n_paths]
        if by_path[path].any()
    ]
    law = parts["mechanism"] + parts["learned_residual"]
    by_member = slope * (found.edited - found.control)[:, column]
    listed = sum((slope * by_path[path] for path in ranked[:n_paths]), np.zeros(len(slope)))
    rest = by_member - listed
    rows.append(_row(OTHER_PATHS, "other paths", rest, "", -1) | {"contribution": law - float(listed.mean())})
    lent = borrowed_from(model, protocol, gene)
    added = [(f"what {donor} did", "borrowed", donor, value) for donor, value in _most(lent, n_paths)]
    pooling = parts["pooling"] - sum(value for *_, value in added)
    added += [
        ("carried residual", "carried residual", "", parts["carried_residual"]),
        ("pooling", "pooling", "", pooling),
    ]
    rows += [
        _row(term, kind, np.array([value]), source, -1) | {"spread": np.nan, "agreement": np.nan}
        for term, kind, source, value in added
    ]
    return Explanation(
        gene=gene,
        perturbation=condition.perturbation,
        hours=float(condition.hours),
        control=parts["control"],
        predicted=parts["predicted"],
        table=pd.DataFrame(rows, columns=list(_COLUMNS)).astype({"n_edges": "Int64"}),
    )


def _most(lent: pd.DataFrame, n: int) -> list[tuple[str, float]]:
    """The donors that a prediction borrows most from, with what they add to it."""
    ranked = lent[lent["contribution"] != 0].sort_values("contribution", key=np.abs, ascending=False, kind="stable")
    return [(str(name), float(value)) for name, value in zip(ranked["donor"][:n], ranked["contribution"], strict=False)]


def _row(term: str, kind: str, values: Float[np.ndarray, " member"], source: str, n_edges: int) -> dict[str, object]:
    mean = float(values.mean())
    return {
        "term": term,
        "kind": kind,
        "source": source,
        "n_edges": n_edges if n_edges >= 0 else pd.NA,
        "contribution": mean,
        "spread": float(values.std(ddof=min(len(values) - 1, 1))),
        "agreement": float((np.sign(values) == np.sign(mean)).mean()),
    }


def _observed_slope(model: FittedModel, found: Difference, column: int) -> Float[np.ndarray, " member"]:
    """Observed change per relative change of the gene, by each member: of the chord, or of the tangent where nothing moves."""
    unit = float(model.fit.members.unit[column])
    low, high = (np.maximum(states[:, column], 0.0) * unit for states in (found.control, found.edited))
    change = (found.edited - found.control)[:, column]
    observed = model.scale.to_observed(np.stack([low, high]))
    tangent = unit / model.scale.state_slope(observed[0])
    is_moving = np.abs(change) > 1e-5
    return np.where(is_moving, (observed[1] - observed[0]) / np.where(is_moving, change, 1.0), tangent)


def _words(found: Difference, genes: tuple[str, ...], source: int, path: tuple[int, ...]) -> str:
    """A path as text: ``→`` where a gene drives the next one up, ``⊣`` where it drives it down."""
    name = found.sources[source]
    if not path:
        return name
    column = genes.index(name) if name in genes else None
    first = found.direct[:, :, source, path[0]].mean() * (found.activity_sign[source] or 1)
    if first == 0 and column is not None:
        first = found.drive[path[0], column]
    signs = [first, *(found.drive[b, a] for a, b in zip(path[:-1], path[1:], strict=True))]
    return name + "".join(f" {'→' if sign >= 0 else '⊣'} {genes[gene]}" for sign, gene in zip(signs, path, strict=True))
