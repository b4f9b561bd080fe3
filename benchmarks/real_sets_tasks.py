"""The tasks of the benchmark over real sets: a data set, what is held out of it, and the methods that it can tell apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from itertools import product
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pandas as pd

from benchmarks import sets
from benchmarks.peers.cellbox import CellBoxPredictor
from benchmarks.peers.exchange import write_task
from benchmarks.peers.renge import RengePredictor
from benchmarks.sets_cellbox import N_PROTEINS, CellBoxSet, drug_splits, pair_split, random_split, read_cellbox
from benchmarks.sets_morphic import most_varying, oxygen_split, read_morphic
from benchmarks.sets_papalexi import most_counted, read_papalexi, target_folds
from benchmarks.steady_state_tasks import FAST
from semimech.data import Cells, Dataset, Split, unseen_edit, unseen_time
from semimech.evaluate import Method, baseline_methods
from semimech.fit import FitConfig, fit
from semimech.model import PriorNetwork
from semimech.model.regulons import read_regulon

MODEL, PRIOR, SHUFFLED, NO_MOMENT = (
    "semi-mechanistic",
    "semi-mechanistic + prior",
    "semi-mechanistic + shuffled prior",
    "semi-mechanistic, no steady state",
)
N_MORPHIC_GENES, N_PAPALEXI_GENES = 280, 100


@dataclass(frozen=True, kw_only=True)
class Task:
    """One data set with one draw of what is held out.

    Parameters
    ----------
    dataset
        All conditions.
    split
        What is held out.
    methods
        What is compared, in groups that are fitted and kept apart.
    """

    dataset: Dataset
    split: Split
    methods: Mapping[str, Sequence[Method]]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A task with the groups of methods that are due, before the data are read.

    Parameters
    ----------
    name
        Name of the task; files are named after it and the group.
    groups
        Groups of methods.
    make
        Reads the data; called when the turn comes.
    """

    name: str
    groups: tuple[str, ...]
    make: Callable[[], Task] = field(repr=False)


def plans(root: Path, *, n_seeds: int) -> Iterator[Plan]:
    """All tasks, one round of seeds after the other, so that what is finished at any time is balanced.

    A round holds out every edit of a set once; CellBox's random partition is drawn twice a round.

    Parameters
    ----------
    root
        Folder of the real data.
    n_seeds
        Rounds.
    """
    plain, peer, wired = ("baselines", "model"), ("peer",), ("prior", "shuffled")
    for seed in range(n_seeds):
        if seed == 0:
            yield Plan(name="cellbox-pairs-0", groups=plain + peer, make=partial(_cellbox_pairs, root))
            yield Plan(name="renge-day-0", groups=plain + peer + wired, make=partial(_renge_day, root))
            yield Plan(name="prs-oxygen-0", groups=plain, make=partial(_oxygen, root))
        for draw in (2 * seed, 2 * seed + 1):
            make = partial(_cellbox_random, root, draw)
            yield Plan(name=f"cellbox-random-{draw}", groups=plain + peer, make=make)
        for line, fold in product(("MCF7", "BT20"), range(5)):
            make = partial(_hpn, root, line, seed, fold)
            yield Plan(name=f"hpn-{line}-{seed}.{fold}", groups=plain, make=make)
        for fold in range(5):
            yield Plan(
                name=f"prs-edit-{seed}.{fold}", groups=plain + wired, make=partial(_morphic, root, "PrS", seed, fold)
            )
        for fold in range(3):
            groups = (*plain, "no moment", *wired)
            yield Plan(name=f"papalexi-edit-{seed}.{fold}", groups=groups, make=partial(_papalexi, root, seed, fold))
        for fold in range(8):
            groups = plain + peer + wired if seed == 0 else ("baselines", "model")
            yield Plan(name=f"renge-edit-{seed}.{fold}", groups=groups, make=partial(_renge_edit, root, seed, fold))
        for fold in range(4):
            yield Plan(
                name=f"cbo-edit-{seed}.{fold}", groups=plain + wired, make=partial(_morphic, root, "CBO", seed, fold)
            )
        for fold in range(12):
            yield Plan(
                name=f"cellbox-drug-{seed}.{fold}", groups=plain + peer, make=partial(_cellbox_drug, root, seed, fold)
            )
        for fold in range(_n_cbo_days(root) if seed == 0 else 0):
            yield Plan(name=f"cbo-day-{fold}", groups=plain, make=partial(_cbo_day, root, fold))


def shuffled(edges: pd.DataFrame, genes: Sequence[str], *, seed: int) -> pd.DataFrame:
    """Edges among some genes with their targets dealt anew: what each source and target has of them stays."""
    inside = edges[edges["target"].isin(genes)]
    rng = np.random.default_rng(seed)
    return pd.DataFrame({"source": inside["source"], "target": rng.permutation(inside["target"].to_numpy())})


def export(root: Path, *, n_seeds: int, folder: Path) -> None:
    """Write the tasks that single-cell peers can do, one folder each, named as the task: unseen edits of Papalexi's screen.

    The other sets are means, or have no unedited cells, which all of these peers need. Groups of genes are the targets of one
    regulator of CollecTRI.
    """
    dataset = most_counted(read_papalexi(root), n_genes=N_PAPALEXI_GENES)
    terms = _collectri(root).rename(columns={"target": "gene", "source": "term"})
    for seed in range(n_seeds):
        for fold, split in enumerate(target_folds(dataset, n_folds=3, seed=seed)):
            write_task(dataset, split, terms, folder / f"papalexi-edit-{seed}.{fold}")


def _methods(
    dataset: Dataset,
    split: Split,
    *,
    prior: pd.DataFrame | None = None,
    cells: Cells | None = None,
    **settings: Any,
) -> dict[str, tuple[Method, ...]]:
    """Baselines, the model with default treatment, and with a prior and a shuffled one; ``cells`` are those of the training conditions."""

    def learned(name: str, edges: pd.DataFrame | None, **more: Any) -> tuple[Method, ...]:
        network = None if edges is None else PriorNetwork(edges=edges)
        config = FitConfig(**settings, **more)

        def fitted(train: Dataset, seed: int) -> Any:
            whole = train if cells is None else replace(train, cells=cells)
            return fit(whole, replace(config, seed=seed), prior=network, targets=_targets(dataset, split))

        return (Method(name=name, fit=fitted),)

    found = {"baselines": baseline_methods(), "model": learned(MODEL, None)}
    if prior is not None:
        found["prior"] = learned(PRIOR, prior[["source", "target"]])
        found["shuffled"] = learned(SHUFFLED, shuffled(prior, dataset.genes, seed=split.seed))
    if dataset.control_moments is not None:
        found["no moment"] = learned(NO_MOMENT, None, steady_state="none")
    return found


def _targets(dataset: Dataset, split: Split) -> tuple[str, ...]:
    """Edited genes of the test conditions."""
    return tuple(sorted({edit.gene for row in split.test for edit in dataset.conditions[row].edits}))


def _cellbox(root: Path, split: Split) -> Task:
    case = _read_cellbox(root)

    def equations(train: Dataset, seed: int) -> CellBoxPredictor:
        return CellBoxPredictor(train, case.strength, n_proteins=N_PROTEINS, key=jax.random.key(seed))

    methods = _methods(case.dataset, split) | {"peer": (Method(name="CellBox equations", fit=equations),)}
    return Task(dataset=case.dataset, split=split, methods=methods)


def _cellbox_random(root: Path, seed: int) -> Task:
    return _cellbox(root, random_split(_read_cellbox(root).dataset, seed=seed))


def _cellbox_pairs(root: Path) -> Task:
    return _cellbox(root, pair_split(_read_cellbox(root).dataset))


def _cellbox_drug(root: Path, seed: int, fold: int) -> Task:
    return _cellbox(root, drug_splits(_read_cellbox(root).dataset, seed=seed)[fold])


def _hpn(root: Path, line: str, seed: int, fold: int) -> Task:
    case = sets.read_hpn(root, line)
    split = sets.pair_folds(case, seed=seed)[fold]
    return Task(dataset=case.dataset, split=split, methods=_methods(case.dataset, split, **FAST))


def _renge(root: Path, split: Split) -> Task:
    def equations(train: Dataset, seed: int) -> RengePredictor:
        return RengePredictor(train, key=jax.random.key(seed))

    dataset = _read_renge(root)
    methods = _methods(dataset, split, prior=sets.read_chip_prior(root, dataset.genes))
    return Task(
        dataset=dataset, split=split, methods=methods | {"peer": (Method(name="RENGE equations", fit=equations),)}
    )


def _renge_edit(root: Path, seed: int, fold: int) -> Task:
    return _renge(root, replace(sets.edit_folds(_read_renge(root))[fold], seed=seed))


def _renge_day(root: Path) -> Task:
    return _renge(root, sets.last_day_fold(_read_renge(root)))


def _papalexi(root: Path, seed: int, fold: int) -> Task:
    whole = most_counted(_read_papalexi(root), n_genes=N_PAPALEXI_GENES)
    dataset = replace(whole, cells=None)  # scores of means are asked, and energy distances are dear
    split = target_folds(dataset, n_folds=3, seed=seed)[fold]
    cells = whole.subset(split.train).cells
    return Task(dataset=dataset, split=split, methods=_methods(dataset, split, prior=_collectri(root), cells=cells))


def _morphic(root: Path, lineage: str, seed: int, fold: int) -> Task:
    whole = _read_morphic(root, lineage)
    split = unseen_edit(whole, n_folds=5 if lineage == "PrS" else 4, seed=seed)[fold]
    dataset = most_varying(whole, split.train, n_genes=N_MORPHIC_GENES)
    return Task(dataset=dataset, split=split, methods=_methods(dataset, split, prior=_collectri(root)))


def _oxygen(root: Path) -> Task:
    whole = _read_morphic(root, "PrS")
    split = oxygen_split(whole)
    dataset = most_varying(whole, split.train, n_genes=N_MORPHIC_GENES)
    return Task(dataset=dataset, split=split, methods=_methods(dataset, split))


def _cbo_day(root: Path, fold: int) -> Task:
    whole = _read_morphic(root, "CBO")
    split = unseen_time(whole)[fold]
    dataset = most_varying(whole, split.train, n_genes=N_MORPHIC_GENES)
    return Task(dataset=dataset, split=split, methods=_methods(dataset, split))


def _n_cbo_days(root: Path) -> int:
    return len(unseen_time(_read_morphic(root, "CBO")))


@cache
def _read_cellbox(root: Path) -> CellBoxSet:
    return read_cellbox(root)


@cache
def _read_renge(root: Path) -> Dataset:
    return replace(sets.read_renge(root), cells=None)  # scores of means are asked, and energy distances are dear


@cache
def _read_papalexi(root: Path) -> Dataset:
    return read_papalexi(root)


@cache
def _read_morphic(root: Path, lineage: str) -> Dataset:
    return read_morphic(root, lineage)


@cache
def _collectri(root: Path) -> pd.DataFrame:
    return read_regulon(root / "priors" / "collectri.csv")
