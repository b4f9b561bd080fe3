"""A clean simulated CRISPRi screen, and faults to plant in it: each with the check that must name it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import anndata as ad
import jax
import numpy as np
import pandas as pd
import scipy.sparse as sp

from semimech.data.curation.cycle_genes import G2M_PHASE, S_PHASE
from semimech.experiment import Edit
from semimech.simulate import (
    Measurement,
    ScreenDesign,
    WorldRecipe,
    choose_edits,
    random_world,
    screen_experiments,
    simulate_screen,
)

N_GENES = 70
KEYS = {"edit_kind": "crispri"}


@cache
def _clean(seed: int) -> ad.AnnData:
    world_key, edit_key, key = jax.random.split(jax.random.key(seed), 3)
    world = random_world(WorldRecipe(n_genes=N_GENES, n_regulators=20), key=world_key)
    genes = [edits[0] for edits in choose_edits(world, n_singles=8, n_doubles=0, key=edit_key)[0]]
    design = ScreenDesign(
        experiments=screen_experiments([(Edit(gene=g, kind="crispri", efficacy=0.9),) for g in genes], (2, 4)),
        cells=120,
        control_cells=300,
        measurement=Measurement(library_mean=4000.0),
    )
    data = simulate_screen(world, design, n_truth_cells=8, key=key)
    others = [g for g in data.var_names if g not in genes]
    abundance = np.asarray(data[:, others].X.mean(axis=0)).ravel()
    rare = [others[i] for i in np.argsort(abundance)[:6]]
    common = [g for g in _by_move(data, genes) if g not in rare]
    names = dict(zip(rare, (f"MT-ND{i}" for i in range(1, 7)), strict=True))
    names |= dict(zip(common[:8], S_PHASE, strict=False)) | dict(zip(common[8:16], G2M_PHASE, strict=False))
    data.var_names = [names.get(g, g) for g in data.var_names]
    data.uns = {}
    return data


def _by_move(data: ad.AnnData, edited: list[str]) -> list[str]:
    """Genes that are not edited, those that the edits move least first: no edit of a clean screen shifts the cycle."""
    logs = np.log1p(data.X.toarray())
    spread = logs.std(axis=0) + 1e-9
    labels = data.obs["perturbation"].to_numpy()
    moves = [np.abs(logs[labels == e].mean(axis=0) - logs[labels == "control"].mean(axis=0)) / spread for e in edited]
    return [g for g in data.var_names[np.argsort(np.max(moves, axis=0))] if g not in edited]


def clean(seed: int) -> ad.AnnData:
    """A screen without a fault: 8 knockdowns and controls, two days, three batches, three guides, 70 genes."""
    return _clean(seed).copy()


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A fault to plant.

    Parameters
    ----------
    name
        In words.
    check
        The check that must name it.
    plant
        Changes a data set and returns it.
    severity
        With which it is named.
    keys
        How the data set is read.
    """

    name: str
    check: str
    plant: Callable[[ad.AnnData], ad.AnnData]
    severity: str = "warning"
    keys: tuple[tuple[str, object], ...] = ()


def edits(data: ad.AnnData) -> list[str]:
    """Edited genes, the one that moves cells farthest first."""
    counts = data.layers["counts"]
    share = sp.diags(1 / np.asarray(counts.sum(axis=1)).ravel()) @ counts
    control = np.asarray(share[rows(data, "control")].mean(axis=0)).ravel()
    names = sorted(set(data.obs["perturbation"]) - {"control"})
    others = {n: data.var_names != n for n in names}
    move = {n: np.log((np.asarray(share[rows(data, n)].mean(axis=0)).ravel() + 1e-5) / (control + 1e-5)) for n in names}
    return sorted(names, key=lambda n: -np.square(move[n][others[n]]).sum())


def rows(data: ad.AnnData, edit: str, *, day: int | None = None, batch: str | None = None) -> np.ndarray:
    """Rows of the cells of an edit."""
    kept = (data.obs["perturbation"] == edit).to_numpy()
    kept &= True if day is None else (data.obs["day"] == day).to_numpy()
    kept &= True if batch is None else (data.obs["batch"] == batch).to_numpy()
    return np.flatnonzero(kept)


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


def _borrow(data: ad.AnnData, taken: np.ndarray, *, of: str = "control", genes: object = slice(None)) -> ad.AnnData:
    """Give cells the counts of cells of the same day and batch that carry another edit."""
    rng = np.random.default_rng(7)

    def change(counts: np.ndarray) -> None:
        old = counts.copy()
        for row in taken:
            place = data.obs.iloc[row]
            counts[row, genes] = old[rng.choice(rows(data, of, day=place["day"], batch=place["batch"])), genes]

    return recount(data, change)


def _shallow(data: ad.AnnData) -> ad.AnnData:
    rng, taken = np.random.default_rng(1), rows(data, edits(data)[0])

    def change(counts: np.ndarray) -> None:
        counts[taken] = rng.binomial(counts[taken], 0.4)

    return recount(data, change)


def _scaled(names: Callable[[ad.AnnData], list[str]], factor: float, taken: Callable[[ad.AnnData], np.ndarray]):
    def plant(data: ad.AnnData) -> ad.AnnData:
        rng, columns, cells = np.random.default_rng(2), data.var_names.get_indexer(names(data)), taken(data)

        def change(counts: np.ndarray) -> None:
            at = np.ix_(cells, columns)
            counts[at] = rng.poisson(counts[at] * factor)

        return recount(data, change)

    return plant


def _mitochondrial(data: ad.AnnData) -> list[str]:
    return [g for g in data.var_names if g.startswith("MT-")]


def _some_cells(data: ad.AnnData) -> np.ndarray:
    return np.flatnonzero(np.random.default_rng(3).random(data.n_obs) < 0.2)


def _dead_target(data: ad.AnnData) -> ad.AnnData:
    edit = best_expressed(data)
    return _borrow(data, rows(data, edit), genes=data.var_names.get_loc(edit))


def best_expressed(data: ad.AnnData) -> str:
    """The edited gene with the most counts in controls."""
    names = edits(data)
    mean = np.asarray(data[rows(data, "control"), names].layers["counts"].mean(axis=0)).ravel()
    return names[int(np.argmax(mean))]


def _activated(data: ad.AnnData) -> ad.AnnData:
    def change(counts: np.ndarray) -> None:
        old = counts.copy()
        for edit in edits(data):
            g = data.var_names.get_loc(edit)
            counts[rows(data, edit), g] = 3 * np.resize(old[rows(data, "control"), g], len(rows(data, edit))) + 3

    return recount(data, change)


def _exchanged(data: ad.AnnData) -> ad.AnnData:
    first = best_expressed(data)
    second = next(e for e in edits(data) if e != first)
    labels = data.obs["perturbation"].astype(str).replace({first: "?"}).replace({second: first}).replace({"?": second})
    return relabel(data, "perturbation", labels.to_numpy())


def _escaped(data: ad.AnnData) -> ad.AnnData:
    taken = rows(data, edits(data)[0])
    return _borrow(data, taken[np.random.default_rng(4).random(len(taken)) < 0.6])


def _bad_guide(data: ad.AnnData) -> ad.AnnData:
    edit = edits(data)[0]
    return _borrow(data, rows(data, edit)[(data.obs["guide"] == f"{edit}_g2").to_numpy()[rows(data, edit)]])


def _acting_control(data: ad.AnnData) -> ad.AnnData:
    taken = np.flatnonzero((data.obs["guide"] == "non-targeting_g1").to_numpy())
    return _borrow(data, taken, of=edits(data)[0])


def _mixed_guides(data: ad.AnnData) -> ad.AnnData:
    first, second = edits(data)[:2]
    guides = data.obs["guide"].astype(str).to_numpy().copy()
    guides[rows(data, first)[:20]] = f"{second}_g1"
    return relabel(data, "guide", guides)


def _doublets(data: ad.AnnData) -> ad.AnnData:
    rng = np.random.default_rng(5)

    def change(counts: np.ndarray) -> None:
        taken = rng.permutation(len(counts))[: int(0.35 * len(counts))]
        counts[taken] += counts[rng.permutation(len(counts))[: len(taken)]]

    return recount(data, change)


def _nested(column: str, values: dict[str, object]) -> Callable[[ad.AnnData], ad.AnnData]:
    return lambda data: relabel(data, column, data.obs["batch"].astype(str).map(values).to_numpy())


def _one_batch(data: ad.AnnData) -> ad.AnnData:
    edit = edits(data)[2]
    return without(data, np.setdiff1d(rows(data, edit), rows(data, edit, batch="batch1")))


def _confounded(data: ad.AnnData) -> ad.AnnData:
    edit = edits(data)[2]
    apart = np.setdiff1d(rows(data, edit), rows(data, edit, batch="batch1"))
    return without(data, np.concatenate([apart, rows(data, "control", batch="batch1")]))


def _rare(data: ad.AnnData) -> ad.AnnData:
    return without(data, rows(data, edits(data)[1], day=4)[12:])


def _dying_out(data: ad.AnnData) -> ad.AnnData:
    return without(data, rows(data, edits(data)[1], day=4)[25:])


def _moving_controls(data: ad.AnnData) -> ad.AnnData:
    return _scaled(lambda d: list(d.var_names[20:50]), 1.6, lambda d: rows(d, "control", day=4))(data)


def _renamed(rename: Callable[[int, str], str], *, with_edits: bool = False) -> Callable[[ad.AnnData], ad.AnnData]:
    def plant(data: ad.AnnData) -> ad.AnnData:
        fixed = set() if with_edits else set(edits(data))
        data.var_names = [g if g in fixed else rename(i, g) for i, g in enumerate(data.var_names)]
        return data

    return plant


def _stored(map_: Callable[[np.ndarray], np.ndarray]) -> Callable[[ad.AnnData], ad.AnnData]:
    def plant(data: ad.AnnData) -> ad.AnnData:
        counts = data.layers.pop("counts").toarray()
        data.X = sp.csr_matrix(map_(counts / counts.sum(axis=1, keepdims=True) * 1e4).astype(np.float32))
        return data

    return plant


def _fractional(data: ad.AnnData) -> ad.AnnData:
    data.layers["counts"] = data.layers["counts"] * 0.7
    return data


def _spoiled(data: ad.AnnData) -> ad.AnnData:
    data.layers["counts"] = data.layers["counts"].astype(np.float32)
    data.layers["counts"].data[5] = np.nan
    return data


def _silent(data: ad.AnnData) -> ad.AnnData:
    columns = data.var_names.get_indexer(_mitochondrial(data)[:1])

    def change(counts: np.ndarray) -> None:
        counts[:, columns] = 0

    return recount(data, change)


def _empty(data: ad.AnnData) -> ad.AnnData:
    def change(counts: np.ndarray) -> None:
        counts[[3, 8]] = 0

    return recount(data, change)


def _copied(data: ad.AnnData) -> ad.AnnData:
    def change(counts: np.ndarray) -> None:
        counts[30:34] = counts[10:14]

    return recount(data, change)


def _unlabelled(data: ad.AnnData) -> ad.AnnData:
    labels = data.obs["perturbation"].astype(object).to_numpy().copy()
    labels[:5] = None
    return relabel(data, "perturbation", labels)


def _unknown(data: ad.AnnData) -> ad.AnnData:
    edit = edits(data)[1]
    return relabel(data, "perturbation", data.obs["perturbation"].astype(str).replace(edit, "XYZ9").to_numpy())


def _ensembl(data: ad.AnnData) -> ad.AnnData:
    data.var_names = [f"ENSG{i:011d}" for i in range(data.n_vars)]
    return data


def _doses(data: ad.AnnData) -> ad.AnnData:
    data.obs["dose_value"] = np.resize([1.0, 10.0], data.n_obs)
    return data


FAULTS = (
    Fault(name="an edit at two fifths of the depth", check="depth by edit", plant=_shallow),
    Fault(name="an edit of few cells", check="cells per condition", plant=_rare),
    Fault(
        name="a batch without controls",
        check="controls per batch",
        plant=lambda d: without(d, rows(d, "control", batch="batch2")),
    ),
    Fault(name="an edit in the batch without controls only", check="batch and edit", plant=_confounded),
    Fault(
        name="a day per batch",
        check="time and batch",
        plant=_nested("day", {"batch1": 2, "batch2": 4, "batch3": 6}),
    ),
    Fault(
        name="a medium per batch",
        check="medium and batch",
        plant=_nested("medium", {"batch1": "A", "batch2": "B", "batch3": "B"}),
        keys=(("maintenance_medium", "A"),),
    ),
    Fault(name="an edit in one batch", check="batches per edit", plant=_one_batch),
    Fault(name="no controls", check="controls", plant=lambda d: without(d, rows(d, "control"))),
    Fault(name="controls that move", check="control stationarity", plant=_moving_controls),
    Fault(name="a knockdown that does not work", check="on-target effect", plant=_dead_target),
    Fault(name="exchanged labels", check="on-target effect", plant=_exchanged),
    Fault(name="activation declared as interference", check="kind of edit", plant=_activated),
    Fault(name="six in ten cells escaped", check="escapers", plant=_escaped),
    Fault(name="a guide that does not work", check="guides of one gene", plant=_bad_guide),
    Fault(name="a control guide that acts", check="guides of one gene", plant=_acting_control),
    Fault(name="a guide under two labels", check="guides and edits", plant=_mixed_guides),
    Fault(
        name="dying cells",
        check="mitochondrial share",
        plant=_scaled(_mitochondrial, 60.0, _some_cells),
    ),
    Fault(
        name="dying cells of one edit",
        check="mitochondrial share",
        plant=_scaled(_mitochondrial, 30.0, lambda d: rows(d, edits(d)[3])),
    ),
    Fault(
        name="an arrested edit",
        check="cell cycle",
        plant=_scaled(lambda d: [g for g in d.var_names if g in G2M_PHASE], 1.8, lambda d: rows(d, edits(d)[3])),
    ),
    Fault(name="an edit that dies out", check="loss of cells", plant=_dying_out),
    Fault(name="fractional counts", check="integer counts", plant=_fractional, severity="fail"),
    Fault(name="a NaN", check="finite values", plant=_spoiled, severity="fail"),
    Fault(name="no logarithm", check="normalisation of X", plant=_stored(lambda x: x), severity="fail"),
    Fault(name="base 2", check="normalisation of X", plant=_stored(lambda x: np.log2(1 + x)), severity="fail"),
    Fault(
        name="two logarithms",
        check="normalisation of X",
        plant=_stored(lambda x: np.log1p(np.log1p(x))),
        severity="fail",
    ),
    Fault(
        name="a gene name twice",
        check="gene names",
        plant=_renamed(lambda i, g: "MT-ND1" if g.startswith("MT-") else g),
        severity="fail",
    ),
    Fault(
        name="identifiers of two kinds",
        check="gene identifiers",
        plant=_renamed(lambda i, g: f"ENSG{i:011d}" if i % 3 == 0 else g),
    ),
    Fault(
        name="genes that became dates",
        check="gene identifiers",
        plant=_renamed(lambda i, g: "1-Mar" if g == "MT-ND1" else g),
    ),
    Fault(name="edits by symbol, genes by identifier", check="names of edits", plant=_ensembl),
    Fault(name="an edit of an unknown gene", check="targets", plant=_unknown),
    Fault(
        name="days read as hours", check="duration", plant=lambda d: d, keys=(("time_unit", "hours"), ("time_key", "t"))
    ),
    Fault(name="copied cells", check="duplicated cells", plant=_copied),
    Fault(name="cells without counts", check="depth", plant=_empty, severity="fail"),
    Fault(name="cells without a label", check="perturbation column", plant=_unlabelled, severity="fail"),
    Fault(name="a silent gene", check="silent genes", plant=_silent),
    Fault(name="pooled doses", check="doses", plant=_doses),
)
"""Every fault; ``days read as hours`` needs the column of times under the name ``t``."""

DOUBLETS = Fault(name="a third of the cells are two", check="doublets", plant=_doublets)
"""A fault that is found where Scrublet is installed."""


def plant(fault: Fault, data: ad.AnnData) -> ad.AnnData:
    """The data set with a fault."""
    if ("time_key", "t") in fault.keys:
        data.obs = data.obs.rename(columns={"day": "t"})
    return fault.plant(data)
