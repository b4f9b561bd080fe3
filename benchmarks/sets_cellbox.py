"""CellBox's melanoma set: 12 drugs alone and in pairs on SK-MEL-133 cells, as CellBox's own benchmark has it.

Korkut et al. 2015 (doi:10.7554/eLife.04640) measured 82 proteins and five phenotypes after 23 doses of single drugs and 66
pairs; Yuan et al. 2021 (doi:10.1016/j.cels.2020.11.013) fitted CellBox to their log2 ratios to untreated cells.

* **Edits**: a drug is a ``drug`` on one of 12 activity nodes (``aMEK`` …). These are inputs, not measurements: their column
  is a function of the dose alone, which every method is told. So they are unmeasured targets here, the data set
  holds the 87 measured nodes, and scores over all 99, as published, are those over the 87 times 87/99: nobody errs
  on the other 12. The efficacy of a dose is the activity that it removes, ``1 − 2^x`` with ``x`` the tabulated column.
* **Time**: one harvest, which CellBox takes for a steady state; settled here too.
* **Controls**: untreated cells are the unit of every value and stand at zero by definition, without error. No second moments.
* **Noise**: unknown, as the table gives means only. Two rows (the same drug at two doses) have one strength and hence
  one condition; they are averaged, so that 88 conditions stand for 89 rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float

from benchmarks.sets_common import read_table
from semimech.data import CellSystem, Dataset, Scale, Split, dataset_from_means, unseen_combination
from semimech.experiment import Condition, Edit, Experiment, Harvest, Wait

N_PROTEINS, N_MEASURED = 82, 87
UNTREATED = Experiment(id="untreated", steps=(Wait(hours=np.inf), Harvest())).conditions["harvest"]


@dataclass(frozen=True, kw_only=True)
class CellBoxSet:
    """The set, and what CellBox's equations need beside it.

    Parameters
    ----------
    dataset
        Untreated cells and one row per drug treatment, 87 nodes, log2 ratio to untreated.
    nodes
        Names of all 99 nodes: 82 proteins, 5 phenotypes, 12 inputs.
    strength
        CellBox's strength of the inputs in each condition, its ``u``, negative.
    """

    dataset: Dataset
    nodes: tuple[str, ...]
    strength: Mapping[Condition, Float[np.ndarray, " node"]]

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the activity nodes that drugs act on."""
        return self.nodes[N_MEASURED:]


def log2_scale() -> Scale:
    """Observed values are the logarithm to base 2 of the state."""
    grid = np.geomspace(1e-6, 1e6, 4097)
    return Scale(name="log2 ratio", state_grid=grid, observed_grid=np.log2(grid))


def read_cellbox(root: Path) -> CellBoxSet:
    """Read the set.

    Parameters
    ----------
    root
        Folder of the real data, which holds ``cellbox_melanoma``.

    Raises
    ------
    DataError
        If a file is missing or cannot be read.
    """
    folder = root / "cellbox_melanoma"
    nodes = tuple(read_table(folder / "node_Index.csv", header=None)[0].astype(str))
    strength, values = (
        read_table(folder / name, separator=",", header=None).to_numpy(float) for name in ("pert.csv", "expr.csv")
    )
    conditions = [_condition(nodes, row) for row in values]
    table = pd.DataFrame(values[:, :N_MEASURED]).groupby(pd.Series(conditions), sort=False)
    mean = table.mean()
    dataset = dataset_from_means(
        nodes[:N_MEASURED],
        [UNTREATED, *mean.index],
        np.vstack([np.zeros(N_MEASURED), mean.to_numpy()]),
        scale=log2_scale(),
        n=[1, *table.size()],
        system=CellSystem(name="SK-MEL-133"),
        name="CellBox melanoma",
    )
    used = {UNTREATED: np.zeros(len(nodes)), **dict(zip(conditions, strength, strict=True))}
    return CellBoxSet(dataset=dataset, nodes=nodes, strength=used)


def random_split(dataset: Dataset, *, seed: int, trained: float = 0.7) -> Split:
    """Hold out conditions at random, as CellBox's ``random partition``; untreated cells always train."""
    rows = np.flatnonzero(~dataset.is_control)
    order = np.random.default_rng(seed).permutation(rows)
    n_train = round(trained * len(rows))
    train = np.sort([*np.flatnonzero(dataset.is_control), *order[:n_train]])
    return Split(name="random_70_30", train=train, test=np.sort(order[n_train:]), seed=seed)


def pair_split(dataset: Dataset, *, seed: int = 0) -> Split:
    """Train on single drugs, hold out all pairs."""
    (split,) = unseen_combination(dataset, seed=seed)
    return split


def drug_splits(dataset: Dataset, *, seed: int = 0) -> tuple[Split, ...]:
    """Hold out each drug with all its pairs, as CellBox's ``leave one out (w/o single)``."""
    drugs = sorted({edit.gene for condition in dataset.conditions for edit in condition.edits})
    carried = [{edit.gene for edit in condition.edits} for condition in dataset.conditions]
    return tuple(
        Split(
            name="unseen_edit",
            train=np.flatnonzero([drug not in names for names in carried]),
            test=np.flatnonzero([drug in names for names in carried]),
            fold=fold,
            held_out=(drug,),
            seed=seed,
        )
        for fold, drug in enumerate(drugs)
    )


def _condition(nodes: tuple[str, ...], row: Float[np.ndarray, " node"]) -> Condition:
    """The treatment of a row, from its input columns."""
    edits = [
        Edit(gene=nodes[node], kind="drug", efficacy=float(1.0 - 2.0 ** row[node]))
        for node in range(N_MEASURED, len(nodes))
        if row[node] != 0
    ]
    return Experiment(id="row", steps=(*edits, Wait(hours=np.inf), Harvest())).conditions["harvest"]
