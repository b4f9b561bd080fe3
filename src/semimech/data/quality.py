"""The check of a data set: everything that is noticed about it, as one table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd

from semimech._errors import ConfigError, DataError
from semimech._h5ad import write_h5ad
from semimech.data.checks import CHECKS, CHECKS_OF_VALUES
from semimech.data.curation.fix import changes, curate, with_readable_values
from semimech.data.curation.measures import condition_quality
from semimech.data.files import open_anndata
from semimech.data.findings import CheckFinding, failed, findings_table, passed, warned
from semimech.data.passes import Progress
from semimech.data.sampled import read_sample
from semimech.data.schema import Keys
from semimech.data.screen import read_screen
from semimech.data.stream import is_large
from semimech.experiment import Compound


@dataclass(frozen=True, kw_only=True)
class Examination:
    """What is noticed about a data set.

    Parameters
    ----------
    findings
        As of `check`.
    conditions
        As of `semimech.data.curation.measures.condition_quality`; empty if the data set cannot be read.
    """

    findings: pd.DataFrame
    conditions: pd.DataFrame = field(default_factory=pd.DataFrame)


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
    return examine(data, keys).findings


def examine(data: ad.AnnData | str | Path, keys: Keys, *, progress: Progress | None = None) -> Examination:
    """Check a data set and measure its conditions, in one reading.

    Parameters
    ----------
    data
        An ``.h5ad`` file, a ``.zarr`` folder, or the object itself.
    keys
        How columns are to be read.
    progress
        Called with the cells read and all cells, after each block of a file that is too large to be read as a whole. Of such a
        file, values are looked at in a sample of cells, and each finding from them says so.
    """
    if not isinstance(data, ad.AnnData) and is_large(Path(data)):
        return _examine_large(Path(data), keys, progress)
    try:
        adata = data if isinstance(data, ad.AnnData) else open_anndata(data)
    except DataError as error:
        return Examination(findings=findings_table([failed("readable file", str(error), mend="")]))
    findings = [passed("readable file", f"{adata.n_obs} cells × {adata.n_vars} genes")]
    screen, faults = read_screen(adata, keys)
    if screen is None:
        findings += faults
        # What can be mended must not hide what is wrong beyond it, nor what was mended with it.
        mended = curate(adata, keys)
        findings += _mended_too(mended, len(changes(adata)))
        screen = read_screen(mended, keys)[0]
        if screen is None:
            screen = read_screen(with_readable_values(mended), keys)[0]
    if screen is None:
        return Examination(findings=findings_table(findings))
    findings += [*screen.findings, *(finding for check in CHECKS for finding in check(screen))]
    return Examination(findings=findings_table(findings), conditions=condition_quality(screen))


def _mended_too(curated: ad.AnnData, n_before: int) -> list[CheckFinding]:
    """What checks would have found, had it not been mended with what kept them from looking."""
    return [
        warned(
            name,
            changed,
            threatens="what follows was checked without them",
            mend="semimech check --fix COPY.h5ad does so",
        )
        for name, changed in changes(curated).iloc[n_before:].itertuples(index=False)
        if name in ("duplicated cells", "silent genes")
    ]


def _examine_large(path: Path, keys: Keys, progress: Progress | None) -> Examination:
    try:
        screens, faults = read_sample(path, keys, progress=progress)
    except DataError as error:
        return Examination(findings=findings_table([failed("readable file", str(error), mend="")]))
    if screens is None:
        return Examination(findings=findings_table(faults))
    whole, some = screens
    n = len(some.annotation.condition)
    findings = [
        passed(
            "readable file", f"{len(whole.annotation.condition)} cells × {len(whole.annotation.genes)} genes, streamed"
        ),
        *whole.findings,
    ]
    for check in CHECKS:
        if check in CHECKS_OF_VALUES:
            findings += [replace(each, evidence=f"{each.evidence} (in a sample of {n} cells)") for each in check(some)]
        else:
            findings += check(whole)
    conditions = condition_quality(some).assign(cells=np.bincount(whole.annotation.condition))
    return Examination(findings=findings_table(findings), conditions=conditions)


def write_curated(path: str | Path, out: str | Path, keys: Keys) -> pd.DataFrame:
    """Write a curated copy of a file, and check the copy; the file itself is not touched.

    Parameters
    ----------
    path
        An ``.h5ad`` file or a ``.zarr`` folder.
    out
        Where the copy shall stand, an ``.h5ad`` file; one that is there is replaced.
    keys
        How columns are to be read.

    Returns
    -------
    pandas.DataFrame
        As of `check`, for the copy; each change is a row of the severity ``"fixed"``.

    Raises
    ------
    DataError
        If the file cannot be opened.
    ConfigError
        If ``out`` is the file itself, no ``.h5ad`` file, or cannot be written.
    """
    path, out = Path(path), Path(out)
    if out.suffix != ".h5ad":
        raise ConfigError(f"{out}: the copy is an .h5ad file; name it so")
    if out.exists() and path.exists() and out.samefile(path):
        raise ConfigError(
            f"{out}: is the file that is checked, which is never changed; name another place for the copy"
        )
    adata = open_anndata(path)
    before = len(changes(adata))
    curated = curate(adata, keys)
    write_h5ad(curated, out, compression="gzip")
    fixed = [
        CheckFinding(check=str(row.fix), severity="fixed", evidence=str(row.changed))
        for row in changes(curated).iloc[before:].itertuples()
    ]
    return findings_table([*fixed, *map(_finding, examine(curated, keys).findings.to_dict("records"))])


def _finding(row: dict[Any, Any]) -> CheckFinding:
    return CheckFinding(**row)
