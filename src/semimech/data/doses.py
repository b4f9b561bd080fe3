"""Doses of all cells whose label names a compound."""

from __future__ import annotations

import math
import re
from collections.abc import Collection

import numpy as np
import pandas as pd
from jaxtyping import Float

from semimech.data.findings import CheckFinding, failed, listed
from semimech.data.labels import Perturbations
from semimech.experiment import CONCENTRATION_UNITS

_DOSE = re.compile(r"(\d+(?:\.\d*)?(?:e[-+]?\d+)?|\.\d+)\s*(.*)", re.IGNORECASE)


def parse_dose(text: str) -> float:
    """Read one dose: a number of µM, or a number with its unit.

    Returns
    -------
    float
        Micromoles per litre.

    Raises
    ------
    ValueError
        If the text is no dose.

    Examples
    --------
    >>> parse_dose("0.5"), parse_dose("500 nM")
    (0.5, 0.5)
    """
    found = _DOSE.fullmatch(text.strip())
    if found is None or (found[2] and found[2] not in CONCENTRATION_UNITS):
        raise ValueError(f"{text!r} is no dose")
    return float(found[1]) * CONCENTRATION_UNITS[found[2] or "uM"]


def read_doses(
    column: pd.Series | None, perturbations: Perturbations, compounds: Collection[str]
) -> tuple[Float[np.ndarray, " cell"], tuple[CheckFinding, ...]]:
    """Read the dose of every cell whose label names a compound.

    Parameters
    ----------
    column
        Doses: numbers of µM, or numbers with a unit; ``None`` where there are none.
    perturbations
        Labels of the cells.
    compounds
        Names that are compounds, not genes.

    Returns
    -------
    tuple
        Micromoles per litre, 0 where the label names no compound, and the faults found.
    """
    dosed = [[name for name in names if name in compounds] for names in perturbations.edits]
    is_dosed = np.array([bool(names) for names in dosed])[perturbations.code]
    doses = np.zeros(len(is_dosed))
    faults = []
    if compounds and not is_dosed.any():
        mend = f"Name them as they are called there, or join experiments.tsv, which doses them. Compounds: {listed(compounds)}"
        faults.append(failed("compounds", "no label of a perturbation names one of the compounds", mend=mend))
    several = ["+".join(names) for names in dosed if len(names) > 1]
    if several:
        mend = "write their protocols in experiments.tsv, one row per dose"
        evidence = f"one column of doses cannot tell those of several compounds: {listed(several)}"
        faults.append(failed("doses", evidence, mend=mend))
    if not is_dosed.any():
        return doses, tuple(faults)
    if column is None:
        mend = "add a column dose_value with numbers of µM, or with numbers and units (500nM)"
        faults.append(failed("doses", "compounds are named, but obs has no column of doses", mend=mend))
        return doses, tuple(faults)
    codes, texts = pd.factorize(column.astype(object).astype(str))
    values = np.array([_parsed(str(text)) for text in texts])[codes]
    unreadable = sorted(set(column.astype(str)[is_dosed & np.isnan(values)]))
    if unreadable:
        evidence = f"obs[{column.name!r}] has values that are no doses: {listed(unreadable)}"
        faults.append(failed("doses", evidence, mend="write a number of µM, or a number with its unit: 0.5, 500nM"))
    doses[is_dosed] = values[is_dosed]
    return doses, tuple(faults)


def _parsed(text: str) -> float:
    try:
        return parse_dose(text)
    except ValueError:
        return math.nan
