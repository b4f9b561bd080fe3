"""The in-silico screen: many edits predicted block by block straight to a file, to choose what is worth doing."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import anndata as ad
import jax
import numpy as np
from jaxtyping import Float

from semimech._errors import ConfigError, DataError, ExperimentError, raise_faults
from semimech.design.growing import GrowingFile
from semimech.experiment import Edit, EditKind, Experiment, Harvest, Step, Wait, format_experiment
from semimech.fit import FittedModel

BLOCK = 256
"""Experiments predicted together."""


def edit_experiments(
    edits: Sequence[Sequence[str]], *, kind: EditKind = "knockout", hours: Sequence[float] = ()
) -> tuple[Experiment, ...]:
    """One experiment for each set of genes, edited at once and harvested at the given times.

    Parameters
    ----------
    edits
        Genes edited together.
    kind
        What the edits are.
    hours
        Times of harvest after the edit; once the cells are settled if none are given.

    Raises
    ------
    ExperimentError
        If a time is negative or stands twice, or a gene twice in one set.
    """
    times = sorted(hours) if hours else [np.inf]
    faults = [f"harvest at {t:g} h: times are not negative" for t in times if t < 0]
    faults += [f"harvest at {t:g} h stands twice" for t, after in itertools.pairwise(times) if t == after]
    raise_faults(ExperimentError, "in-silico screen", faults)
    later: list[Step] = []
    for before, now in itertools.pairwise([0.0, *times]):
        label = "settled" if np.isinf(now) else f"{now:g}h"
        later += [Wait(hours=now - before), Harvest(label=label)]
    return tuple(
        Experiment(id="+".join(genes), steps=(*(Edit(gene=gene, kind=kind) for gene in genes), *later))
        for genes in edits
    )


def in_silico_screen(
    model: FittedModel,
    experiments: Sequence[Experiment],
    path: str | Path,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Predict experiments into a file, block by block; what was interrupted goes on where it stopped.

    The file is what `FittedModel.predict` gives, with one row for each harvest of unedited cells first, to compare with.
    Until it is complete it stands beside ``path``, as ``.NAME.partial``; the same call finds it there and predicts
    only what is missing. Memory holds one block.

    Parameters
    ----------
    model
        The model.
    experiments
        What is asked, of names that differ; see `edit_experiments`.
    path
        File to write, ``.h5ad`` or ``.zarr``; one that is there is replaced.
    progress
        Called with the experiments predicted and all experiments, after each block.

    Raises
    ------
    ConfigError
        If the file is of another kind, or cannot be written.
    DataError
        Listing genes that the model does not know.
    ExperimentError
        If nothing is asked, or two experiments share a name.
    """
    path = Path(path)
    if path.suffix not in (".h5ad", ".zarr"):
        raise ConfigError(f"{path}: a screen is written as .h5ad or .zarr; name the file so")
    asked = _asked(experiments)
    conditions = [model.system.resolve(c) for e in experiments for c in e.conditions.values()]
    raise_faults(DataError, "in-silico screen", model.unknown_names(conditions))
    starts = np.cumsum([0, *(sum(len(e.conditions) for e in block) for block in _blocks(asked))])
    shape = (int(starts[-1]), len(model.genes))
    with GrowingFile(path, shape, n_blocks=len(starts) - 1, question=_digest(model, asked)) as file:
        done = 0
        for number, block in enumerate(_blocks(asked)):
            if not file.has(number):
                file.write(number, int(starts[number]), model.predict(block))
            done += len(block)
            if progress is not None:
                progress(done, len(asked))
        file.describe(model.predict([asked[0]]).var)


def shortlist_pairs(singles: ad.AnnData, n_pairs: int) -> tuple[tuple[str, str], ...]:
    r"""Pairs of edits whose joint effect is expected to differ most from the sum of their effects.

    With :math:`r_a` the predicted change by edit :math:`a` on the scale of ``X``, the score is

    .. math:: s_{ab}^2 = \sum_g r_{ag}^2 r_{bg}^2 + r_{ab}^2 \|r_b\|^2 + r_{ba}^2 \|r_a\|^2 .

    The first term is the leading one of a production that is curved where both edits act (the second-order term of its
    Taylor series is proportional to :math:`r_{ag} r_{bg}`). The others are edits that act through each other: where
    :math:`a` moves the product of :math:`b`, which is gone in the pair. It is zero for edits without common targets that
    do not regulate each other. All pairs are scored by one matrix product; the model is not asked.

    Parameters
    ----------
    singles
        An in-silico screen of single edits, as `in_silico_screen` writes it; of several harvests the last one counts.
    n_pairs
        Pairs to name, the highest score first.

    Raises
    ------
    DataError
        If there are no unedited cells or fewer than two single edits in it.
    """
    last = singles[singles.obs["harvest"].astype(str) == str(singles.obs["harvest"].iloc[-1])]
    names = last.obs["perturbation"].astype(str)
    is_single = np.array([name != "control" and "+" not in name for name in names])
    if not (names == "control").any() or is_single.sum() < 2:
        raise DataError("a shortlist of pairs needs unedited cells and two single edits or more; screen singles first")
    change = np.asarray(last.X, np.float32) - np.asarray(last.X[(names == "control").to_numpy()][0], np.float32)
    genes, change = names[is_single].tolist(), change[is_single]
    score = _departure(genes, change, list(map(str, last.var.get("gene", last.var_names))))
    first, second = np.triu_indices(len(genes), 1)
    flat = score[first, second]
    best = np.argsort(-flat, kind="stable")[:n_pairs]
    return tuple((genes[first[i]], genes[second[i]]) for i in best)


def _departure(
    edited: list[str], change: Float[np.ndarray, "edit gene"], genes: list[str]
) -> Float[np.ndarray, "edit edit"]:
    """The score of `shortlist_pairs` for all pairs, squared, without what an edit does to its own gene."""
    column = {gene: i for i, gene in enumerate(genes)}
    place = np.array([column.get(gene, -1) for gene in edited])
    rows = np.flatnonzero(place >= 0)
    square = change**2
    square[rows, place[rows]] = 0.0
    score = square @ square.T
    through = np.zeros_like(score)
    through[:, rows] = square[:, place[rows]]
    through *= square.sum(axis=1)
    return score + through + through.T


def _asked(experiments: Sequence[Experiment]) -> tuple[Experiment, ...]:
    """What is asked, after unedited cells harvested as the first experiment is."""
    if not experiments:
        raise ExperimentError("in-silico screen: nothing asked; give one edit or more")
    rest = tuple(step for step in experiments[0].steps if not isinstance(step, Edit))
    found = (Experiment(id="control", steps=rest), *experiments)
    names = [experiment.id for experiment in found]
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    raise_faults(ExperimentError, "in-silico screen", [f"two experiments are named {name!r}" for name in twice])
    return found


def _blocks(asked: Sequence[Experiment]) -> Iterator[Sequence[Experiment]]:
    for start in range(0, len(asked), BLOCK):
        yield asked[start : start + BLOCK]


def _digest(model: FittedModel, asked: Sequence[Experiment]) -> str:
    """Hash of the numbers of a model and of what it is asked."""
    digest = hashlib.sha256(repr((model.roster, model.system, model.record.config)).encode())
    for leaf in jax.tree.leaves(model.fit):
        digest.update(np.ascontiguousarray(leaf).data)
    for experiment in asked:
        digest.update(f"{experiment.id}\t{format_experiment(experiment)}\n".encode())
    return digest.hexdigest()
