"""What is done to a clean screen to plant a fault in it."""

from __future__ import annotations

from collections.abc import Callable

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp

from semimech.data.curation.mitochondrial_genes import is_mitochondrial


def edits(data: ad.AnnData) -> list[str]:
    """Edited genes, the one that moves cells farthest first."""
    counts = data.layers["counts"]
    share = sp.diags(1 / np.asarray(counts.sum(axis=1)).ravel()) @ counts
    is_control = (data.obs["perturbation"] == "control").to_numpy()
    control = np.asarray(share[is_control if is_control.any() else ~is_control].mean(axis=0)).ravel()
    names = sorted(set(data.obs["perturbation"]) - {"control"})
    others = {n: data.var_names != n for n in names}
    if not names:
        raise LookupError("no edits")
    move = {n: np.log((np.asarray(share[rows(data, n)].mean(axis=0)).ravel() + 1e-5) / (control + 1e-5)) for n in names}
    return sorted(names, key=lambda n: -np.square(move[n][others[n]]).sum())


def rows(data: ad.AnnData, edit: str, *, day: int | None = None, batch: str | None = None) -> np.ndarray:
    """Rows of the cells of an edit.

    Raises
    ------
    LookupError
        If another fault has taken them away: there is nothing to plant in.
    """
    kept = (data.obs["perturbation"] == edit).to_numpy()
    kept &= True if day is None else (data.obs["day"] == day).to_numpy()
    kept &= True if batch is None else (data.obs["batch"] == batch).to_numpy()
    if not kept.any():
        raise LookupError(f"no cell of {edit} on day {day}, in batch {batch}")
    return np.flatnonzero(kept)


def last_day(data: ad.AnnData) -> int:
    return int(data.obs["day"].max())


def rarest(data: ad.AnnData) -> np.ndarray:
    """Columns of the six genes of fewest counts that are not edited, the mitochondrial ones of a clean screen, whatever they are called."""
    total = np.asarray(data.layers["counts"].sum(axis=0)).ravel().astype(float)
    total[data.var_names.get_indexer([e for e in edits(data) if e in data.var_names])] = np.inf
    return np.argsort(total, kind="stable")[:6]


def recount(data: ad.AnnData, change: Callable[[np.ndarray], None]) -> ad.AnnData:
    """The data set with its counts changed in place, as a dense array."""
    counts = data.layers["counts"].toarray()
    change(counts)
    data.X, data.layers["counts"] = sp.csr_matrix(counts), sp.csr_matrix(counts)
    return data


def without(data: ad.AnnData, lost: np.ndarray) -> ad.AnnData:
    """The data set without some rows."""
    kept = data[np.setdiff1d(np.arange(data.n_obs), lost)].copy()
    for column in kept.obs:
        if isinstance(kept.obs[column].dtype, pd.CategoricalDtype):
            kept.obs[column] = kept.obs[column].cat.remove_unused_categories()
    return kept


def relabel(data: ad.AnnData, column: str, values: np.ndarray) -> ad.AnnData:
    """The data set with other values in a column."""
    data.obs[column] = values
    return data


def borrow(data: ad.AnnData, taken: np.ndarray, *, of: str = "control", genes: object = slice(None)) -> ad.AnnData:
    """Give cells the counts of cells of the same day and batch that carry another edit, all but a few of each, so that none is a copy."""
    if not len(taken):
        raise LookupError("no cells to change")
    rng = np.random.default_rng(7)

    def change(counts: np.ndarray) -> None:
        old = counts.copy()
        for row in taken:
            place = data.obs.iloc[row]
            lender = rng.choice(rows(data, of, day=place["day"], batch=place["batch"]))
            counts[row, genes] = rng.binomial(old[lender, genes].astype(int), 0.97)

    return recount(data, change)


def shallow(data: ad.AnnData) -> ad.AnnData:
    rng, taken = np.random.default_rng(1), rows(data, edits(data)[0])

    def change(counts: np.ndarray) -> None:
        counts[taken] = rng.binomial(counts[taken], 0.4)

    return recount(data, change)


def scaled(names: Callable[[ad.AnnData], list[str]], factor: float, taken: Callable[[ad.AnnData], np.ndarray]):
    def plant(data: ad.AnnData) -> ad.AnnData:
        rng, columns, cells = np.random.default_rng(2), data.var_names.get_indexer(names(data)), taken(data)
        if not len(columns):
            raise LookupError("no such genes")

        def change(counts: np.ndarray) -> None:
            at = np.ix_(cells, columns)
            counts[at] = rng.poisson(counts[at] * factor)

        return recount(data, change)

    return plant


def mitochondrial(data: ad.AnnData) -> list[str]:
    return [g for g in data.var_names if is_mitochondrial(g)]


def some_cells(data: ad.AnnData) -> np.ndarray:
    return np.flatnonzero(np.random.default_rng(3).random(data.n_obs) < 0.2)


def dying(data: ad.AnnData) -> ad.AnnData:
    """A fifth of the cells with two fifths of their counts from mitochondria."""
    share = data[:, mitochondrial(data)].X.sum() / data.X.sum()
    return scaled(mitochondrial, 0.4 / 0.6 / share, some_cells)(data)


def dead_target(data: ad.AnnData) -> ad.AnnData:
    edit = best_expressed(data)
    return borrow(data, rows(data, edit), genes=data.var_names.get_loc(edit))


def best_expressed(data: ad.AnnData) -> str:
    """The edited gene with the most counts in controls."""
    names = edits(data)
    mean = np.asarray(data[rows(data, "control"), names].layers["counts"].mean(axis=0)).ravel()
    return names[int(np.argmax(mean))]


def activated(data: ad.AnnData) -> ad.AnnData:
    def change(counts: np.ndarray) -> None:
        old = counts.copy()
        for edit in edits(data):
            g = data.var_names.get_loc(edit)
            counts[rows(data, edit), g] = 3 * np.resize(old[rows(data, "control"), g], len(rows(data, edit))) + 3

    return recount(data, change)


def exchanged(data: ad.AnnData) -> ad.AnnData:
    first = best_expressed(data)
    second = next(e for e in edits(data) if e != first)
    labels = data.obs["perturbation"].astype(str).replace({first: "?"}).replace({second: first}).replace({"?": second})
    return relabel(data, "perturbation", labels.to_numpy())


def escaped(data: ad.AnnData) -> ad.AnnData:
    taken = rows(data, edits(data)[0])
    return borrow(data, taken[np.random.default_rng(4).random(len(taken)) < 0.6])


def bad_guide(data: ad.AnnData) -> ad.AnnData:
    edit = edits(data)[0]
    return borrow(data, rows(data, edit)[(data.obs["guide"] == f"{edit}_g2").to_numpy()[rows(data, edit)]])


def acting_control(data: ad.AnnData) -> ad.AnnData:
    taken = np.flatnonzero((data.obs["guide"] == "non-targeting_g1").to_numpy())
    return borrow(data, taken, of=edits(data)[0])


def mixed_guides(data: ad.AnnData) -> ad.AnnData:
    first, second = edits(data)[:2]
    guides = data.obs["guide"].astype(str).to_numpy().copy()
    guides[rows(data, first)[:20]] = f"{second}_g1"
    if set(data.obs["perturbation"][guides == f"{second}_g1"]) == {first}:
        raise LookupError("the guide has one label")
    return relabel(data, "guide", guides)


def nested(column: str, values: dict[str, object]) -> Callable[[ad.AnnData], ad.AnnData]:
    return lambda data: relabel(data, column, data.obs["batch"].astype(str).map(values).to_numpy())


def one_batch(data: ad.AnnData) -> ad.AnnData:
    edit = edits(data)[2]
    return without(data, np.setdiff1d(rows(data, edit), rows(data, edit, batch="batch1")))


def confounded(data: ad.AnnData) -> ad.AnnData:
    edit = edits(data)[2]
    apart = np.setdiff1d(rows(data, edit), rows(data, edit, batch="batch1"))
    return without(data, np.concatenate([apart, rows(data, "control", batch="batch1")]))


def rare(data: ad.AnnData) -> ad.AnnData:
    return without(data, rows(data, edits(data)[1], day=last_day(data))[12:])


def dying_out(data: ad.AnnData) -> ad.AnnData:
    taken = rows(data, edits(data)[1], day=last_day(data))
    return without(data, taken[len(taken) // 5 :])


def moving_controls(data: ad.AnnData) -> ad.AnnData:
    return scaled(lambda d: list(d.var_names[20:50]), 1.6, lambda d: rows(d, "control", day=last_day(d)))(data)


def stored(map_: Callable[[np.ndarray], np.ndarray]) -> Callable[[ad.AnnData], ad.AnnData]:
    """Normalised to 10⁴ per cell and mapped; a cell without counts stays one, as in scanpy."""

    def plant(data: ad.AnnData) -> ad.AnnData:
        counts = data.layers.pop("counts").toarray()
        total = counts.sum(axis=1, keepdims=True)
        data.X = sp.csr_matrix(map_(counts / np.where(total == 0, 1, total) * 1e4).astype(np.float32))
        return data

    return plant


def fractional(data: ad.AnnData) -> ad.AnnData:
    data.layers["counts"] = data.layers["counts"] * 0.7
    return data


def spoiled(data: ad.AnnData) -> ad.AnnData:
    data.layers["counts"] = data.layers["counts"].astype(np.float32)
    data.layers["counts"].data[5] = np.nan
    return data


def silent(data: ad.AnnData) -> ad.AnnData:
    column = rarest(data)[0]

    def change(counts: np.ndarray) -> None:
        counts[:, column] = 0

    return recount(data, change)


def empty(data: ad.AnnData) -> ad.AnnData:
    def change(counts: np.ndarray) -> None:
        counts[[3, 8]] = 0

    return recount(data, change)


def copied(data: ad.AnnData) -> ad.AnnData:
    def change(counts: np.ndarray) -> None:
        counts[30:34] = counts[10:14]

    return recount(data, change)


def unlabelled(data: ad.AnnData) -> ad.AnnData:
    labels = data.obs["perturbation"].astype(object).to_numpy().copy()
    labels[:5] = None
    return relabel(data, "perturbation", labels)


def unknown(data: ad.AnnData) -> ad.AnnData:
    edit = edits(data)[1]
    return relabel(data, "perturbation", data.obs["perturbation"].astype(str).replace(edit, "XYZ9").to_numpy())


def doses(data: ad.AnnData) -> ad.AnnData:
    data.obs["dose_value"] = np.resize([1.0, 10.0], data.n_obs)
    return data
