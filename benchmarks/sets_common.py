"""What the readers of all real data sets share: where the data lie, and prior networks with errors."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float

from semimech._errors import DataError
from semimech.data import Dataset

DATA_VARIABLE = "SEMIMECH_SHARED_DATA"


def shared_data() -> Path | None:
    """Folder of the real data: ``$SEMIMECH_SHARED_DATA``, else ``../shared/data`` from the root; ``None`` if absent."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get(DATA_VARIABLE, default))
    return folder if folder.is_dir() else None


def read_table(
    path: Path,
    *,
    separator: str = "\t",
    header: int | None = 0,
    index: int | None = None,
    columns: Sequence[int] | None = None,
) -> pd.DataFrame:
    """Read a delimited file.

    Raises
    ------
    DataError
        If the file is missing or cannot be read.
    """
    try:
        return pd.read_csv(path, sep=separator, header=header, index_col=index, usecols=columns)
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path}: cannot be read ({error}). Set {DATA_VARIABLE} to the folder of the real data"
        ) from None


def leading_genes(
    dataset: Dataset, score: Float[np.ndarray, " gene"], *, always: Sequence[str], n_genes: int
) -> Dataset:
    """The data set with the genes of highest score and some that always stay.

    Parameters
    ----------
    dataset
        Data set.
    score
        What to choose by; of the training conditions alone.
    always
        Genes that stay whatever their score; those that are not measured are passed over.
    n_genes
        Genes to keep beside them.
    """
    stays = np.isin(dataset.genes, list(always))
    order = np.argsort(np.where(stays, np.inf, -score), kind="stable")
    keep = np.sort([*np.flatnonzero(stays), *order[: min(n_genes, int((~stays).sum()))]])
    moments = dataset.control_moments
    if moments is not None:
        moments = replace(moments, covariance=moments.covariance[np.ix_(keep, keep)], noise=moments.noise[keep])
    cells = dataset.cells
    if cells is not None:
        offset = None if cells.batch_offset is None else cells.batch_offset[:, keep]
        cells = replace(cells, values=cells.values[:, keep], batch_offset=offset)
    genes = tuple(np.array(dataset.genes)[keep].tolist())
    return replace(
        dataset,
        genes=genes,
        mean=dataset.mean[:, keep],
        standard_error=dataset.standard_error[:, keep],
        system=replace(dataset.system, genes=genes if dataset.system.genes else ()),
        halves=None if dataset.halves is None else dataset.halves[:, :, keep],
        control_moments=moments,
        cells=cells,
        var_names=None,
    )


def noisy_prior(
    gold: pd.DataFrame, genes: Sequence[str], *, false_share: float = 0.2, rng: np.random.Generator
) -> pd.DataFrame:
    """A prior network with every true edge and some false ones, in an order that does not tell them apart.

    Parameters
    ----------
    gold
        True edges, columns ``source`` and ``target``.
    genes
        Genes among which false edges are drawn, without self-regulation.
    false_share
        Share of false edges among all edges of the prior, in [0, 1); the precision of the prior is one minus it.
    rng
        Source of the false edges.

    Returns
    -------
    pandas.DataFrame
        Columns ``source`` and ``target``, sorted as ``genes`` are.

    Raises
    ------
    ValueError
        If ``false_share`` lies outside [0, 1), or there are too few absent edges to draw from.
    """
    if not 0 <= false_share < 1:
        raise ValueError(f"false_share must lie in [0, 1), got {false_share:g}")
    place = {gene: number for number, gene in enumerate(genes)}
    edges = {(place[s], place[t]) for s, t in zip(gold["source"], gold["target"], strict=True)}
    absent = [(s, t) for s in range(len(genes)) for t in range(len(genes)) if s != t and (s, t) not in edges]
    n_false = round(len(edges) * false_share / (1 - false_share))
    if n_false > len(absent):
        raise ValueError(f"false_share {false_share:g} asks for {n_false} false edges, only {len(absent)} are absent")
    drawn = {absent[i] for i in rng.choice(len(absent), size=n_false, replace=False)}
    return pd.DataFrame([(genes[s], genes[t]) for s, t in sorted(edges | drawn)], columns=["source", "target"])
