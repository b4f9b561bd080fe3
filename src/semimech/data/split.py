"""Held-out sets: which conditions a model is trained on, which it is scored on, and the check that none leaks."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from semimech._errors import DataError, raise_faults
from semimech.data.dataset import Dataset
from semimech.data.findings import listed
from semimech.data.screen import describe


@dataclass(frozen=True, kw_only=True)
class Split:
    """Rows to train on and rows to score on.

    Parameters
    ----------
    name
        ``"unseen_edit"``, ``"unseen_time"``, ``"unseen_edit_time"``, ``"unseen_combination"`` or ``"unseen_medium"``.
    train, test
        Rows of the data set. Rows in neither would leak, or are not asked.
    fold
        Number of the split among those of its name.
    held_out
        What is not seen in training: genes, combinations, times (``"120 h"``) or media.
    seed
        Seed that drew the folds.
    """

    name: str
    train: Int[np.ndarray, " train"]
    test: Int[np.ndarray, " test"]
    fold: int = 0
    held_out: tuple[str, ...] = ()
    seed: int = 0


def unseen_edit(
    dataset: Dataset, *, n_folds: int = 5, seed: int = 0, test_combinations: bool = False
) -> tuple[Split, ...]:
    """Hold out genes and compounds: all conditions that edit a gene of theirs leave training, they alone are the test.

    Parameters
    ----------
    dataset
        Data set.
    n_folds
        Number of folds over the genes that are edited, and compounds that are dosed, alone; at most one for each.
    seed
        Draws the folds.
    test_combinations
        Also score combinations that carry a held-out gene; otherwise they are in neither set.
    """
    carried, is_single = _carried(dataset), _is_single(dataset)
    splits = []
    for fold, names in enumerate(_folds(dataset, n_folds, seed)):
        genes = _targets(dataset, names)
        has_held_out = np.array([not carried[r].isdisjoint(genes) for r in range(len(carried))])
        test = has_held_out if test_combinations else has_held_out & is_single
        splits.append(_split("unseen_edit", ~has_held_out, test, fold, names, seed))
    return _usable(dataset, splits)


def unseen_time(dataset: Dataset, *, seed: int = 0) -> tuple[Split, ...]:
    """Hold out times of edited cells: the last time from the times before it, each inner time from all others.

    Edits that training does not see at another time, in the same media, are in neither set. The last time is fold 0.
    """
    splits = []
    times = _edited_times(dataset)
    edited = ~dataset.is_control
    for fold, hours in enumerate(times[:0:-1]):
        at_time = edited & (dataset.hours == hours)
        train = ~edited | (edited & (dataset.hours != hours))
        known = {_course(dataset, int(r)) for r in np.flatnonzero(train)}
        test = at_time & np.array([_course(dataset, r) in known for r in range(len(edited))])
        splits.append(_split("unseen_time", train, test, fold, (_hours_name(hours),), seed))
    return _usable(dataset, splits)


def unseen_edit_time(dataset: Dataset, *, n_folds: int = 5, seed: int = 0) -> tuple[Split, ...]:
    """Hold out genes and the last time together: train on other genes at earlier times, score both held out."""
    times = _edited_times(dataset)
    if len(times) < 2:
        return ()
    is_last = dataset.hours == times[-1]
    splits = []
    for split in unseen_edit(dataset, n_folds=n_folds, seed=seed):
        train = [r for r in split.train if dataset.is_control[r] or not is_last[r]]
        test = [r for r in split.test if is_last[r]]
        held_out = (*split.held_out, _hours_name(times[-1]))
        splits.append(
            Split(
                name="unseen_edit_time",
                train=np.array(train, dtype=int),
                test=np.array(test, dtype=int),
                fold=split.fold,
                held_out=held_out,
                seed=seed,
            )
        )
    return _usable(dataset, splits)


def unseen_combination(dataset: Dataset, *, n_folds: int = 1, seed: int = 0) -> tuple[Split, ...]:
    """Hold out combinations of edits; all single edits train.

    Combinations with a gene that is nowhere edited alone are trained on but not scored.

    Parameters
    ----------
    dataset
        Data set.
    n_folds
        With 1 all combinations are held out; with more, those of the other folds train.
    seed
        Draws the folds.
    """
    singles = _single_agents(dataset)
    combinations = sorted({c.perturbation for c in dataset.conditions if len(c.agents) > 1})
    asked = [name for name in combinations if set(name.split("+")) <= set(singles)]
    if not asked:
        return ()
    order = np.random.default_rng(seed).permutation(len(asked)) if n_folds > 1 else np.arange(len(asked))
    names = np.array(dataset.perturbations, dtype=object)
    splits = []
    for fold, chosen in enumerate(np.array_split(order, min(n_folds, len(asked)))):
        held_out = tuple(sorted(asked[i] for i in chosen))
        test = np.isin(names, held_out)
        train = ~test & np.array([len(c.agents) < 2 or n_folds > 1 for c in dataset.conditions])
        splits.append(_split("unseen_combination", train, test, fold, held_out, seed))
    return _usable(dataset, splits)


def unseen_medium(dataset: Dataset, *, seed: int = 0) -> tuple[Split, ...]:
    """Hold out the edited cells of one medium after another; unedited cells of that medium train."""
    edited = ~dataset.is_control
    last = np.array([c.medium or "" for c in dataset.conditions], dtype=object)
    splits = []
    for fold, medium in enumerate(dataset.system.media):
        test = edited & (last == medium)
        passed_through = np.array([medium in c.media for c in dataset.conditions])
        splits.append(_split("unseen_medium", ~edited | ~passed_through, test, fold, (medium,), seed))
    return _usable(dataset, splits)


def available_splits(dataset: Dataset, *, n_folds: int = 5, seed: int = 0) -> tuple[Split, ...]:
    """All splits that the data set allows, in the order of the functions above."""
    return (
        *unseen_edit(dataset, n_folds=n_folds, seed=seed),
        *unseen_time(dataset, seed=seed),
        *unseen_edit_time(dataset, n_folds=n_folds, seed=seed),
        *unseen_combination(dataset, seed=seed),
        *unseen_medium(dataset, seed=seed),
    )


def check_leakage(dataset: Dataset, split: Split) -> None:
    """Refuse a split whose training set gives away its test set.

    Raises
    ------
    DataError
        If train and test share a condition, or training holds what the name of the split says is unseen: a
        condition that carries a tested gene, has the tested edits, or was harvested at a tested time or medium.
    """
    n = len(dataset.conditions)
    rows = np.concatenate([split.train, split.test]).astype(int)
    heading = f"Split {split.name!r}, fold {split.fold}"
    if len(rows) and not (0 <= rows.min() and rows.max() < n):
        raise DataError(f"{heading}: rows must lie between 0 and {n - 1}; make the split from this data set")
    faults = []
    train = [int(r) for r in split.train]
    resolve = dataset.system.resolve
    tested = {resolve(dataset.conditions[r]) for r in split.test}
    shared = [r for r in train if resolve(dataset.conditions[r]) in tested]
    if shared:
        faults.append(f"train and test share {_named(dataset, shared)}; give each condition to one of them")
    if not len(split.test):
        faults.append("no row to score; leave the split out")
    leaks = _LEAKS.get(split.name)
    if leaks is not None:
        given_away = [r for r in train if not dataset.is_control[r] and r not in shared and leaks(dataset, split, r)]
        if given_away:
            faults.append(f"training holds {_named(dataset, given_away)}; take these rows out of training")
    raise_faults(DataError, heading, faults)


def _leaks_gene(dataset: Dataset, split: Split, row: int) -> bool:
    """Whether a row carries a held-out gene; without names, a gene that is tested alone."""
    carried = _carried(dataset)
    names = split.held_out or {
        name for r in split.test if len(dataset.conditions[r].agents) == 1 for name in dataset.conditions[r].agents
    }
    genes = _targets(dataset, names)
    return not carried[row].isdisjoint(genes)


def _leaks_time(dataset: Dataset, split: Split, row: int) -> bool:
    return dataset.hours[row] in dataset.hours[split.test]


def _leaks_combination(dataset: Dataset, split: Split, row: int) -> bool:
    return dataset.perturbations[row] in {dataset.perturbations[r] for r in split.test}


def _leaks_medium(dataset: Dataset, split: Split, row: int) -> bool:
    return bool({dataset.conditions[r].medium for r in split.test} & set(dataset.conditions[row].media))


_LEAKS: dict[str, Callable[[Dataset, Split, int], bool]] = {
    "unseen_edit": _leaks_gene,
    "unseen_time": _leaks_time,
    "unseen_edit_time": lambda d, s, r: _leaks_gene(d, s, r) or _leaks_time(d, s, r),
    "unseen_combination": _leaks_combination,
    "unseen_medium": _leaks_medium,
}


def _carried(dataset: Dataset) -> list[frozenset[str]]:
    """Genes that were edited in each row, at the harvest or before."""
    return [frozenset(e.gene for period in c.history for e in period.context.edits) for c in dataset.conditions]


def _is_single(dataset: Dataset) -> Bool[np.ndarray, " condition"]:
    return np.array([len(c.agents) == 1 for c in dataset.conditions], dtype=bool)


def _single_agents(dataset: Dataset) -> list[str]:
    """Genes edited and compounds dosed alone."""
    return sorted({c.agents[0] for c in dataset.conditions if len(c.agents) == 1})


def _targets(dataset: Dataset, names: Collection[str]) -> set[str]:
    """The genes among some names, and those that the compounds among them act on."""
    acting = (e for c in dataset.conditions for period in c.history for e in period.context.edits)
    return {*names, *(edit.gene for edit in acting if edit.compound in names)}


def _folds(dataset: Dataset, n_folds: int, seed: int) -> list[tuple[str, ...]]:
    names = _single_agents(dataset)
    if n_folds < 2:
        raise ValueError(f"n_folds must be 2 or more, got {n_folds}")
    if len(names) < 2:
        return []
    order = np.random.default_rng(seed).permutation(len(names))
    return [tuple(sorted(names[i] for i in part)) for part in np.array_split(order, min(n_folds, len(names)))]


def _edited_times(dataset: Dataset) -> list[float]:
    """Finite times after the edit at which edited cells were harvested, in order."""
    hours = dataset.hours[~dataset.is_control]
    return sorted(set(hours[np.isfinite(hours) & (hours > 0)].tolist()))


def _course(dataset: Dataset, row: int) -> tuple[object, ...]:
    condition = dataset.conditions[row]
    return condition.edits, condition.washed_out, condition.media


def _hours_name(hours: float) -> str:
    return f"{hours:g} h"


def _named(dataset: Dataset, rows: Sequence[int]) -> str:
    return f"{len(rows)} conditions ({listed(describe(dataset.conditions[r]) for r in rows)})"


def _split(name: str, train: np.ndarray, test: np.ndarray, fold: int, held_out: tuple[str, ...], seed: int) -> Split:
    return Split(
        name=name, train=np.flatnonzero(train), test=np.flatnonzero(test), fold=fold, held_out=held_out, seed=seed
    )


def _usable(dataset: Dataset, splits: list[Split]) -> tuple[Split, ...]:
    """Splits with something to score and an edited condition to learn from."""
    return tuple(s for s in splits if len(s.test) and not dataset.is_control[s.train].all())
