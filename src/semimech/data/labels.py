"""Labels of perturbations: which genes a label edits, and which labels mean unedited."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Int

from semimech.data.findings import CheckFinding, counted, failed, listed, passed, suggestion
from semimech.data.schema import field, plain, recognise

CONTROL_LABELS = frozenset(
    (
        *("ctrl", "ctl", "control", "controls", "negctrl", "negcontrol", "negativecontrol", "neg", "nt", "ntc", "ntg"),
        *("nontargeting", "nontarget", "nontargetingcontrol", "nontargetingguide", "nontargetingsgrna", "scramble"),
        *("scrambled", "safetargeting", "safeharbor", "safeharbour", "aavs1", "mock", "vehicle", "dmso", "pbs"),
        *("untreated", "unperturbed", "unedited", "uninhibited", "wt", "wildtype"),
    )
)
"""Labels of unedited cells, without case and punctuation."""

UNASSIGNED_LABELS = frozenset(
    (
        "nan",
        "na",
        "none",
        "null",
        "unassigned",
        "unknown",
        "undetermined",
        "ambiguous",
        "multiplet",
        "doublet",
        "negative",
    )
)
"""Labels of cells whose edit is not known."""

GUIDE_COLUMNS = frozenset(map(plain, field("obs", "guide").names))
"""Columns whose labels may be numbered guides of a gene."""

_NUMBERED = re.compile(r"(ctrl|control|nontargeting\w*?|negctrl|negcontrol|scrambled?|safetargeting)\d+")
_GUIDE_NUMBER = re.compile(r"[-_. ]?(?:sgrna|grna|guide|sg|g)?[-_. ]?\d+$", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Perturbations:
    """Edits of all cells.

    Parameters
    ----------
    edits
        The genes that each label edits.
    code
        Index of each cell's label.
    genes
        Names of the measured genes, in the words of the edits.
    findings
        What was noticed, no faults among it.
    """

    edits: tuple[tuple[str, ...], ...]
    code: Int[np.ndarray, " cell"]
    genes: tuple[str, ...]
    findings: tuple[CheckFinding, ...]


def read_perturbations(
    column: pd.Series, var: pd.DataFrame, *, control: str | None
) -> tuple[Perturbations | None, tuple[CheckFinding, ...]]:
    """Read a column of perturbations.

    Parameters
    ----------
    column
        Labels, without missing values.
    var
        Annotation of the genes: edits may be named as its index or as its column of symbols.
    control
        The label of unedited cells; ``None`` for the labels of the field.

    Returns
    -------
    tuple
        The perturbations, ``None`` if they cannot be read, and the faults found.
    """
    codes, uniques = pd.factorize(column.astype(object))
    texts = [str(text).strip() for text in uniques]
    faults = _label_faults(column, texts, control)
    if plain(str(column.name)) in GUIDE_COLUMNS:
        measured = set(map(str, var.index))
        texts = [text if text == control else target_of_guide(text, measured) for text in texts]
    edits = tuple(genes_of_label(text, control=control) for text in texts)
    faults += _edit_faults(texts, edits)
    if faults:
        return None, tuple(faults)
    genes, findings = _gene_names(var, {gene for genes in edits for gene in genes})
    return Perturbations(edits=edits, code=codes.astype(int), genes=genes, findings=findings), ()


def is_control_label(label: str) -> bool:
    """Whether a label means unedited; a number may follow the long words, as in ``non-targeting_12``."""
    word = plain(label)
    return word in CONTROL_LABELS or _NUMBERED.fullmatch(word) is not None


def is_unassigned_label(label: str) -> bool:
    """Whether a label means that the edit is not known."""
    return plain(label) in UNASSIGNED_LABELS


def genes_of_label(label: str, *, control: str | None) -> tuple[str, ...]:
    """The genes that a label edits, sorted; none for unedited cells.

    Parameters
    ----------
    label
        ``A``, ``A+B``, ``A+ctrl`` or a control label.
    control
        The label of unedited cells; ``None`` for the labels of the field. Within ``A+ctrl`` the labels of
        the field are recognised in any case.
    """
    if control is not None and label.strip() == control.strip():
        return ()
    parts = [part.strip() for part in label.split("+")]
    if len(parts) == 1:
        return () if control is None and is_control_label(label) else (parts[0],)
    return tuple(sorted(part for part in parts if part != control and not is_control_label(part)))


def target_of_guide(guide: str, measured: Collection[str]) -> str:
    """The gene of a numbered guide (``SOX2_g1``), if that leaves a measured gene or a control label; else the guide."""
    if guide in measured or is_control_label(guide):
        return guide
    stem = _GUIDE_NUMBER.sub("", guide)
    return stem if stem in measured or is_control_label(stem) else guide


def _label_faults(column: pd.Series, texts: list[str], control: str | None) -> list[CheckFinding]:
    """Control labels that are absent, labels of unknown edits, categories without cells."""
    faults = []
    if control is not None and control.strip() not in {part.strip() for text in texts for part in text.split("+")}:
        known = [text for text in texts if is_control_label(text)]
        hint = f"Labels recognised as controls: {listed(known)}. " if known else "No label is recognised as control. "
        mend = f"{suggestion(control, texts)}{hint}Labels: {listed(texts)}"
        faults.append(failed("control label", f"control={control!r} is no value of obs[{column.name!r}]", mend=mend))
    unassigned = [text for text in texts if text != control and is_unassigned_label(text)]
    if unassigned:
        n_cells = int(column.astype(str).str.strip().isin(unassigned).sum())
        said = listed(map(repr, unassigned))
        evidence = f"{counted(n_cells, 'cell')} with label {said} in obs[{column.name!r}], which names no edit"
        faults.append(
            failed("perturbation labels", evidence, mend="remove these cells, or say control= if they are unedited")
        )
    if isinstance(column.dtype, pd.CategoricalDtype):
        present = set(column.unique())
        empty = [category for category in column.cat.categories if category not in present]
        if empty:
            mend = f"restore their cells, or adata.obs[{column.name!r}] = adata.obs[{column.name!r}].cat.remove_unused_categories()"
            faults.append(failed("empty conditions", f"categories without a single cell: {listed(empty)}", mend=mend))
    return faults


def _edit_faults(texts: list[str], edits: tuple[tuple[str, ...], ...]) -> list[CheckFinding]:
    faults = []
    for text, genes in zip(texts, edits, strict=True):
        if any(not gene for gene in genes):
            mend = "write combinations as A+B"
            faults.append(failed("perturbation labels", f"label {text!r} has an empty part", mend=mend))
        if len(set(genes)) < len(genes):
            mend = "name each gene of a combination once"
            faults.append(failed("perturbation labels", f"label {text!r} edits a gene twice", mend=mend))
    if edits and not any(edits):
        evidence = f"all cells are controls ({listed(texts)}), nothing was edited"
        faults.append(failed("edited cells", evidence, mend="give the column of edits with perturbation_key"))
    return faults


def _gene_names(var: pd.DataFrame, targets: set[str]) -> tuple[tuple[str, ...], tuple[CheckFinding, ...]]:
    """Names of the genes: var_names, or a column of symbols when more of the edits are found there."""
    names = tuple(map(str, var.index))
    column = recognise(field("var", "gene"), [str(c) for c in var.columns])
    if column is None:
        return names, ()
    symbols = tuple(var[column].astype(object).astype(str))
    if len(targets & set(symbols)) <= len(targets & set(names)) or len(set(symbols)) < len(symbols):
        return names, ()
    evidence = f"edits are named by symbol: genes take the names of var[{column!r}], predictions keep var_names"
    return symbols, (passed("gene names", evidence),)
