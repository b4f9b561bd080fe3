"""Media of all cells, told from the medium in which cells are kept."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Int

from semimech.data.findings import CheckFinding, failed, listed, suggestion, warned
from semimech.data.schema import plain

MAINTENANCE_MEDIA = frozenset(
    (
        *("maintenance", "base", "basal", "baseline", "standard", "control", "ctrl", "none", "normal", "unstimulated"),
        *("untreated", "growth", "pbs", "mtesr", "mtesr1", "mtesrplus", "e8", "essential8", "stemflex", "tesre8"),
    )
)
"""Names by which a maintenance medium is recognised, without case and punctuation."""


@dataclass(frozen=True, kw_only=True)
class Media:
    """Media of all cells.

    Parameters
    ----------
    names
        The media; ``None`` is the maintenance medium.
    code
        Index of each cell's medium.
    maintenance
        Name of the maintenance medium.
    findings
        What was noticed, no faults among it.
    """

    names: tuple[str | None, ...]
    code: Int[np.ndarray, " cell"]
    maintenance: str
    findings: tuple[CheckFinding, ...] = ()


def read_media(
    column: pd.Series | None, *, maintenance_medium: str | None, n_cells: int
) -> tuple[Media | None, tuple[CheckFinding, ...]]:
    """Read a column of media.

    Parameters
    ----------
    column
        Names of media, without missing values; ``None`` where all cells stayed in the maintenance medium.
    maintenance_medium
        Name of the medium in which cells are kept. Without it, it is the only medium of the file, or the only one
        with a name of `MAINTENANCE_MEDIA`; otherwise none of the media is.
    n_cells
        Number of cells.

    Returns
    -------
    tuple
        The media, ``None`` if they cannot be read, and the faults found.
    """
    if column is None:
        code = np.zeros(n_cells, dtype=int)
        return Media(names=(None,), code=code, maintenance=maintenance_medium or "maintenance"), ()
    code, uniques = pd.factorize(column.astype(object).astype(str).str.strip())
    names = [str(name) for name in uniques]
    kept_in = maintenance_medium
    if kept_in is not None and kept_in not in names:
        mend = f"{suggestion(kept_in, names)}Media in obs[{column.name!r}]: {listed(names)}"
        return None, (failed("medium", f"maintenance_medium={kept_in!r} is the medium of no cell", mend=mend),)
    known = [name for name in names if plain(name) in MAINTENANCE_MEDIA]
    if kept_in is None and 1 in (len(names), len(known)):
        kept_in = names[0] if len(names) == 1 else known[0]
    finding = warned(
        "maintenance medium",
        f"none of the media is known to be the one cells were kept in: {listed(names)}",
        threatens="steady-state losses and control moments, which need unedited cells in that medium",
        mend="say maintenance_medium=",
    )
    return Media(
        names=tuple(None if name == kept_in else name for name in names),
        code=code.astype(int),
        maintenance=kept_in or "maintenance",
        findings=() if kept_in is not None else (finding,),
    ), ()
