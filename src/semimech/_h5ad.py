"""Writing AnnData files whole or not at all, with whatever version of pandas."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anndata as ad

from semimech._files import replacing


@contextmanager
def any_strings() -> Iterator[None]:
    """Let anndata write the strings of pandas 3, which it refuses unless asked (anndata < 0.11 cannot read them).

    Arrays of a zarr folder keep a file for each chunk, which anndata warns to change unless told.
    """
    options = {"allow_write_nullable_strings": True}
    if hasattr(ad.settings, "auto_shard_zarr_v3"):
        options["auto_shard_zarr_v3"] = False
    with ad.settings.override(**options):
        yield


def write_h5ad(adata: ad.AnnData, path: str | Path, **options: Any) -> None:
    """Write an ``.h5ad`` file, whole or not at all.

    Parameters
    ----------
    adata
        What to write.
    path
        Where; a file that is there is replaced.
    **options
        As of `anndata.AnnData.write_h5ad`.

    Raises
    ------
    ConfigError
        If the place cannot be written to.
    """
    with replacing(path) as temporary, any_strings():
        adata.write_h5ad(temporary, **options)
