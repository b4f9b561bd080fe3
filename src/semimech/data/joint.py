"""Splits that share their training rows, so that one fit answers several questions."""

from __future__ import annotations

import numpy as np

from semimech.data.dataset import Dataset
from semimech.data.split import Split, unseen_combination, unseen_edit, unseen_time


def joint_splits(dataset: Dataset, *, n_folds: int = 3, seed: int = 0) -> tuple[Split, ...]:
    """Hold out genes, the last time and all combinations at once, and score each apart.

    Training has single edits of the other genes at earlier times, and unedited cells. From it are predicted: the held-out
    genes (``unseen_edit``), the last time of the others (``unseen_time``), both (``unseen_edit_time``) and combinations
    of training genes (``unseen_combination``). Each question is a little harder than in a split of its own, and costs no
    fit of its own. With one time or one gene the questions that remain are asked.

    Parameters
    ----------
    dataset
        Data set.
    n_folds
        Folds over the genes that are edited alone.
    seed
        Draws the folds.
    """
    by_edit = unseen_edit(dataset, n_folds=n_folds, seed=seed)
    by_time = unseen_time(dataset, seed=seed)[:1]
    if not by_edit:
        return (*by_time, *unseen_combination(dataset, seed=seed))
    edited = ~dataset.is_control
    times = np.unique(dataset.hours[edited])
    is_last = edited & (dataset.hours == times[-1]) & (len(times) > 1)
    is_single = np.array([len(c.agents) < 2 for c in dataset.conditions])
    splits = []
    for whole in by_edit:
        other = np.zeros(len(is_single), dtype=bool)
        other[whole.train] = True
        held = np.zeros(len(is_single), dtype=bool)
        held[whole.test] = True
        train = other & is_single & ~is_last
        trained = {c.perturbation for c, kept in zip(dataset.conditions, train, strict=True) if kept}
        known = np.array([set(c.agents) <= trained for c in dataset.conditions])
        questions = {
            "unseen_edit": held & ~is_last,
            "unseen_time": other & is_single & is_last & known,
            "unseen_edit_time": held & is_last,
            "unseen_combination": other & ~is_single & ~is_last & known,
        }
        splits += [
            Split(
                name=name,
                train=np.flatnonzero(train),
                test=np.flatnonzero(test),
                fold=whole.fold,
                held_out=whole.held_out,
                seed=seed,
            )
            for name, test in questions.items()
            if test.any()
        ]
    return tuple(splits)
