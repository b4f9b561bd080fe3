"""Scores on disk: one parquet and one tab-separated file, replaced whole."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from semimech._files import replacing


def write_scores(scores: pd.DataFrame, directory: str | Path) -> tuple[Path, Path]:
    """Write ``scores.parquet`` and ``scores.tsv``; a reader finds the old file or the new one, never a part.

    Parameters
    ----------
    scores
        Tidy scores.
    directory
        Folder, made if it is not there.

    Returns
    -------
    tuple of pathlib.Path
        The two files.

    Raises
    ------
    ConfigError
        If the place cannot be written to.
    """
    parquet, table = Path(directory) / "scores.parquet", Path(directory) / "scores.tsv"
    with replacing(parquet) as temporary:
        scores.to_parquet(temporary, index=False)
    with replacing(table) as temporary:
        scores.to_csv(temporary, sep="\t", index=False, na_rep="nan")
    return parquet, table
