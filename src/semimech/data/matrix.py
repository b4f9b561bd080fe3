"""The measured matrix: which scale it is in, and the counts behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import anndata as ad
import numpy as np
import scipy.sparse as sp
from jaxtyping import Float

from semimech.data.findings import CheckFinding, counted, failed, passed, warned
from semimech.data.normalisation import OTHER_SCALES, other_scale, recover_counts
from semimech.data.scale import Scale, count_scale, log1p_scale
from semimech.data.schema import field, recognise

TARGET_SUM = 1e4
"""Sum to which counts are normalised: CP10k."""
LARGEST_LOG = 20.0
"""Largest value that is taken for a logarithm of one plus an expression."""


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """Values of all cells.

    Parameters
    ----------
    observed
        Log-normalised values, cell by gene.
    counts
        Raw counts; ``None`` where they are unknown.
    unit
        Normalised expression of one count in each cell: ``observed = log1p(counts · unit)``; NaN for cells without
        counts, ``None`` where counts are unknown.
    scale
        Map between states and means of ``observed``.
    source
        In words, where values and counts come from.
    findings
        What was noticed, no faults among it.
    """

    observed: sp.csr_matrix
    counts: sp.csr_matrix | None
    unit: Float[np.ndarray, " cell"] | None
    scale: Scale
    source: str
    findings: tuple[CheckFinding, ...] = ()


def read_matrix(adata: ad.AnnData) -> tuple[Measurement | None, tuple[CheckFinding, ...]]:
    """Read ``X`` and the layer of counts.

    Counts in ``X`` or in a layer without a log-normalised ``X`` are observed as log1p CP10k. A log-normalised ``X``
    is observed as it is; its counts come from the layer, or are recovered from the steps between its values.

    Returns
    -------
    tuple
        The measurement, ``None`` if it cannot be read, and the faults found.
    """
    if 0 in adata.shape:
        mend = "the matrix needs at least one cell and one gene"
        return None, (failed("matrix", f"the matrix is empty, {adata.n_obs} cells × {adata.n_vars} genes", mend=mend),)
    layer = recognise(field("layers", "counts"), list(adata.layers))
    x = None if adata.X is None else _as_csr(adata.X)
    counts = None if layer is None else _as_csr(adata.layers[layer])
    faults: list[CheckFinding] = []
    notes: list[CheckFinding] = []
    if counts is not None:
        faults += _count_faults(counts, f"layers[{layer!r}]")
    if x is not None:
        x_faults = _value_faults(x, "X")
        is_ignored = counts is not None and not faults and np.isfinite(x.data).all()
        if x_faults and is_ignored:
            notes.append(_ignored_x(x_faults[0].evidence, layer))
            x = None
        else:
            faults += x_faults
            faults += _scale_faults(_sound_rows(x)) if x_faults and counts is None else []
    if x is None and counts is None and not faults:
        faults.append(failed("matrix", "neither X nor a layer of counts", mend="put raw counts into layers['counts']"))
    if counts is None and x is not None and not faults:
        faults += _scale_faults(x)
    if faults:
        values, place = (x, "X") if counts is None else (counts, f"layers[{layer!r}]")
        return None, (*faults, *([] if values is None else _depth_faults(values, place)))
    if x is not None and not _is_integer(x.data) and x.data.max(initial=0) > LARGEST_LOG:
        evidence = f"X is neither counts nor log-normalised: largest value {x.data.max():.4g}"
        if counts is None:
            mend = "put raw counts into X or layers['counts'], or take log1p of the normalised values"
            return None, (failed("matrix", evidence, mend=mend),)
        notes.append(_ignored_x(evidence, layer))
        x = None
    if x is None or _is_integer(x.data):
        source = "X" if counts is None else f"layers[{layer!r}]"
        return _from_counts(x if counts is None else counts, source, tuple(notes))
    if empty := _depth_faults(x, "X"):
        return None, tuple(empty)
    return _from_logarithms(x, counts, layer, tuple(notes)), ()


def _as_csr(matrix: Any) -> sp.csr_matrix:
    if hasattr(matrix, "to_memory"):
        matrix = matrix.to_memory()
    matrix = sp.csr_matrix(matrix)
    if matrix.dtype.kind not in "fiu":
        matrix = matrix.astype(np.float64)
    if not matrix.has_canonical_format:
        matrix = matrix.copy()
        matrix.sum_duplicates()
    return matrix


def _is_integer(values: np.ndarray) -> bool:
    return bool((values == np.round(values)).all())


def _value_faults(matrix: sp.csr_matrix, place: str) -> list[CheckFinding]:
    fault = field("X", "X").check(matrix.data)
    if not fault:
        return []
    bad = np.flatnonzero(~np.isfinite(matrix.data) | (matrix.data < 0))
    rows = np.unique(np.searchsorted(matrix.indptr, bad, side="right") - 1)
    genes = np.unique(matrix.indices[bad])
    evidence = f"{place}: {fault}, in {counted(len(rows), 'cell')} and {counted(len(genes), 'gene')}"
    mend = "give raw counts, or log1p of normalised counts, without scaling or imputation"
    return [failed("finite values", evidence, mend=mend)]


def _count_faults(counts: sp.csr_matrix, place: str) -> list[CheckFinding]:
    faults = _value_faults(counts, place)
    known = counts.data[np.isfinite(counts.data)]
    if not _is_integer(known):
        share = float((known != np.round(known)).mean())
        mend = "put raw UMI counts there, before normalisation"
        faults.append(failed("integer counts", f"{place}: {share:.1%} of the values are not integers", mend=mend))
    return faults


def _scale_faults(x: sp.csr_matrix) -> list[CheckFinding]:
    """Whether X shows counts through another scale than log1p."""
    scale = None if _is_integer(x.data) else other_scale(x)
    if scale is None:
        return []
    state, mend, _ = OTHER_SCALES[scale]
    return [failed("normalisation of X", f"X is {state}, not log1p of normalised counts", mend=mend)]


def _sound_rows(x: sp.csr_matrix) -> sp.csr_matrix:
    """The rows of which no value is negative or no number."""
    bad = np.flatnonzero(~np.isfinite(x.data) | (x.data < 0))
    return x[np.setdiff1d(np.arange(x.shape[0]), np.searchsorted(x.indptr, bad, side="right") - 1)]


def _depth_faults(values: sp.csr_matrix, place: str) -> list[CheckFinding]:
    """Cells whose values are all zero."""
    n = int((np.asarray((values != 0).sum(axis=1)).ravel() == 0).sum())
    if not n:
        return []
    mend = f"remove them: adata = adata[adata.{place}.sum(axis=1) > 0]"
    return [failed("depth", f"{counted(n, 'cell')} without a single count in {place}", mend=mend)]


def _ignored_x(evidence: str, layer: str | None) -> CheckFinding:
    return warned(
        "scale of X",
        f"{evidence}; layers[{layer!r}] are used instead, and predictions are log1p CP10k",
        threatens="comparing predictions with X",
        mend="keep counts or log-normalised values in X",
    )


def _from_counts(
    counts: sp.csr_matrix, source: str, notes: tuple[CheckFinding, ...]
) -> tuple[Measurement | None, tuple[CheckFinding, ...]]:
    counts = counts.astype(np.float32)
    if empty := _depth_faults(counts, source):
        return None, tuple(empty)
    total = np.asarray(counts.sum(axis=1, dtype=np.float64)).ravel()
    unit = TARGET_SUM / total
    observed = observe(counts, unit)
    note = passed("scale of X", f"counts in {source}, median depth {np.median(total):.0f}; observed as log1p CP10k")
    return Measurement(
        observed=observed,
        counts=counts,
        unit=unit,
        scale=count_scale(total, target_sum=TARGET_SUM),
        source=f"counts in {source}",
        findings=(*notes, note),
    ), ()


def observe(counts: sp.csr_matrix, unit: Float[np.ndarray, " cell"]) -> sp.csr_matrix:
    """``log1p(counts · unit)``, rounded to single precision; most counts are small, and looked up in a table of their cell."""
    n_cells, values, n_values = counts.shape[0], counts.data, np.diff(counts.indptr)
    # The table has a quarter as many entries as there are values.
    width = max(len(values) // (4 * max(n_cells, 1)), 2)
    table = np.log1p(np.arange(width, dtype=np.float32) * unit[:, None]).astype(np.float32)
    large = np.flatnonzero(values >= width)
    place = np.repeat(np.arange(n_cells) * width, n_values)
    place += (np.minimum(values, np.float32(width - 1)) if len(large) else values).astype(np.int32)
    observed = table.ravel().take(place)
    observed[large] = np.log1p(values[large] * unit[place[large] // width])
    return sp.csr_matrix((observed, counts.indices, counts.indptr), shape=counts.shape)


def _from_logarithms(
    x: sp.csr_matrix, counts: sp.csr_matrix | None, layer: str | None, notes: tuple[CheckFinding, ...]
) -> Measurement:
    expression = sp.csr_matrix((np.expm1(x.data.astype(np.float64)), x.indices, x.indptr), shape=x.shape)
    unit, source = None, "log-normalised X"
    if counts is not None:
        unit, source = _unit_from_layer(expression, counts), f"log-normalised X, counts in layers[{layer!r}]"
    if unit is None:
        unit, counts = recover_counts(expression)
        source = "log-normalised X, counts recovered from it" if unit is not None else "log-normalised X"
    observed = x.astype(np.float32)
    if unit is None or counts is None:
        finding = warned(
            "counts",
            "X is log-normalised and its counts cannot be recovered",
            threatens="the scale of states and the noise-corrected moments of controls",
            mend="add raw counts as layers['counts']",
        )
        return Measurement(
            observed=observed, counts=None, unit=None, scale=log1p_scale(), source=source, findings=(*notes, finding)
        )
    sums = np.asarray(expression.sum(axis=1)).ravel()
    target_sum = float(np.median(sums[sums > 0]))
    sizes = target_sum / unit[np.isfinite(unit)]
    note = passed("scale of X", f"{source}; normalised to a median sum of {target_sum:.4g} over these genes")
    return Measurement(
        observed=observed,
        counts=counts,
        unit=unit,
        scale=count_scale(sizes, target_sum=target_sum),
        source=source,
        findings=(*notes, note),
    )


def _unit_from_layer(expression: sp.csr_matrix, counts: sp.csr_matrix) -> np.ndarray | None:
    """Expression of one count per cell, if expression is proportional to counts within each cell."""
    total = np.asarray(counts.sum(axis=1, dtype=np.float64)).ravel()
    with np.errstate(divide="ignore", invalid="ignore"):
        unit = np.asarray(expression.sum(axis=1)).ravel() / total
    predicted = counts.astype(np.float64).multiply(np.nan_to_num(unit)[:, None]).tocsr()
    difference = abs(predicted - expression).sum()
    return unit if difference <= 1e-3 * expression.sum() else None
