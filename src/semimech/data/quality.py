"""The check of a data set: everything that is noticed about it, as one table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import anndata as ad
import pandas as pd

from semimech._errors import DataError
from semimech.data.checks import CHECKS
from semimech.data.findings import CheckFinding, failed, findings_table, passed
from semimech.data.schema import Keys
from semimech.data.screen import open_anndata, read_screen
from semimech.experiment import Compound


def check(
    data: ad.AnnData | str | Path,
    *,
    perturbation_key: str | None = None,
    control: str | None = None,
    time_key: str | None = None,
    time_unit: str | None = None,
    batch_key: str | None = None,
    medium_key: str | None = None,
    edit_kind: str = "knockout",
    maintenance_medium: str | None = None,
    differentiating: bool = False,
    environment: str = "in-vitro",
    start: str | None = None,
    experiments: str | Path | None = None,
    min_cells: int | None = None,
    compounds: str | Path | Sequence[Compound] = (),
) -> pd.DataFrame:
    """Check a data set.

    Parameters
    ----------
    data
        An ``.h5ad`` file, a ``.zarr`` folder, or the object itself.
    perturbation_key, control, time_key, time_unit, batch_key, medium_key
        See `semimech.data.read.read`.
    edit_kind, maintenance_medium, differentiating, environment, start, experiments, min_cells, compounds
        See `semimech.data.read.read`.

    Returns
    -------
    pandas.DataFrame
        One row per finding, with the columns ``check``, ``severity`` (``"ok"``, ``"warning"``, or ``"fail"`` for what
        makes reading impossible), ``evidence``, ``threatens``, ``mend``; faults first.
    """
    keys = Keys(
        perturbation_key=perturbation_key,
        control=control,
        time_key=time_key,
        time_unit=time_unit,
        batch_key=batch_key,
        medium_key=medium_key,
        edit_kind=edit_kind,
        maintenance_medium=maintenance_medium,
        differentiating=differentiating,
        environment=environment,
        start=start,
        experiments=experiments,
        min_cells=min_cells,
        compounds=compounds if isinstance(compounds, str | Path) else tuple(compounds),
    )
    try:
        adata = data if isinstance(data, ad.AnnData) else open_anndata(data)
    except DataError as error:
        return findings_table([failed("readable file", str(error), mend="")])
    return findings_table(_findings(adata, keys))


def _findings(adata: ad.AnnData, keys: Keys) -> list[CheckFinding]:
    readable = passed("readable file", f"{adata.n_obs} cells × {adata.n_vars} genes")
    screen, faults = read_screen(adata, keys)
    if screen is None:
        return [readable, *faults]
    return [readable, *screen.findings, *(finding for check in CHECKS for finding in check(screen))]
