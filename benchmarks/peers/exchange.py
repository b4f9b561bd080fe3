"""Tasks and predictions as files, for peers that need environments of their own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd

from semimech._errors import DataError, raise_faults
from semimech.assumptions.catalogue import ADDITIVE, COMMUTING
from semimech.data import Dataset, Split
from semimech.evaluate import Method
from semimech.experiment import Condition
from semimech.predictor import AbstractPredictor, Prediction

CONTROL = "ctrl"


def write_task(dataset: Dataset, split: Split, terms: pd.DataFrame, folder: Path) -> None:
    """Write what a peer may see: cells of the training conditions, names of what is asked, and groups of genes.

    Parameters
    ----------
    dataset
        Data set with its cells; settled conditions of single knock-outs.
    split
        What is held out.
    terms
        Columns ``gene`` and ``term``: groups that genes share, for peers that use an ontology.
    folder
        Gets ``train.h5ad`` (log-normalised, ``obs`` columns ``condition``, the gene or ``ctrl``, and ``batch``), ``asked.tsv``
        (one column, ``condition``) and ``terms.tsv``.

    Raises
    ------
    DataError
        If the data set has no cells.
    """
    cells = dataset.subset(split.train).cells
    if cells is None:
        raise DataError(f"{dataset.name}: has no cells to write; read it with them")
    names = np.array([CONTROL if dataset.is_control[row] else dataset.perturbations[row] for row in split.train])
    obs = pd.DataFrame({"condition": names[cells.condition], "batch": cells.batch.astype(str)})
    obs.index = obs.index.astype(str)
    folder.mkdir(parents=True, exist_ok=True)
    asked = pd.DataFrame({"condition": [dataset.perturbations[row] for row in split.test]})
    asked.to_csv(folder / "asked.tsv", sep="\t", index=False)
    terms[["gene", "term"]].to_csv(folder / "terms.tsv", sep="\t", index=False)
    ad.AnnData(X=cells.values, obs=obs, var=pd.DataFrame(index=list(dataset.genes))).write_h5ad(folder / "train.h5ad")


class FromFile(AbstractPredictor):
    """Predictions that a peer wrote: a tab-separated table, one row per edit, one column per gene, in the scale of the cells.

    Parameters
    ----------
    path
        The table; its first column names the edits, its name the peer.
    genes
        Genes to predict.

    Raises
    ------
    DataError
        Listing genes that the table lacks, or what else cannot be read.
    """

    def __init__(self, path: Path, genes: tuple[str, ...]) -> None:
        super().__init__(name=path.stem, genes=genes, assumptions=(ADDITIVE, COMMUTING))
        try:
            table = pd.read_csv(path, sep="\t", index_col=0)
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: cannot be read ({error})") from None
        raise_faults(DataError, str(path), [f"gene {gene!r} has no column" for gene in genes if gene not in table])
        self._table = table[list(genes)]

    def predict_conditions(self, conditions: Sequence[Condition]) -> Prediction:
        """Look up what was predicted.

        Raises
        ------
        DataError
            Listing edits that the table lacks.
        """
        names = [condition.perturbation for condition in conditions]
        raise_faults(
            DataError, self.name, [f"edit {name!r} has no row" for name in names if name not in self._table.index]
        )
        return Prediction.without_interval(self._table.loc[names].to_numpy(float))


def methods_of(folder: Path) -> dict[str, tuple[Method, ...]]:
    """Peers that have written predictions of a task, by name: every ``*.tsv`` in the folder ``predicted``."""
    return {
        path.stem: (Method(name=path.stem, fit=lambda train, seed, path=path: FromFile(path, train.genes)),)
        for path in sorted((folder / "predicted").glob("*.tsv"))
    }
