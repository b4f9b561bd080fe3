"""Which genes change the abundance of their cells, told from the drift of cells that nothing acts on."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.stats import false_discovery_control

from semimech._errors import DataError, raise_faults
from semimech.abundance.bottleneck import MIN_BARCODES, Bottleneck, counted_shares, estimate_founders, law_of
from semimech.abundance.counts import REFERENCE, SAMPLE, GuideCounts
from semimech.abundance.drift import log_change_moments
from semimech.abundance.effects import gene_effects
from semimech.abundance.null import NeutralNull, shared_by_genes
from semimech.data.findings import listed

_MOST = 6.0
"""Residuals count up to this size: one jackpot is not a gene."""


@dataclass(frozen=True, kw_only=True)
class AbundanceScreen:
    """Effects on abundance, with what drift they were held against.

    Parameters
    ----------
    genes
        One row per gene, best first: effect with its interval, ``p`` and ``fdr``.
    guides
        One row per guide: its effect, score and share of the gene's effect.
    left_out
        Guides (``guide``, ``gene``) with too few reads in a reference to say what became of them.
    founders
        One row per sample: founders with their interval, and what else spreads its neutral guides.
    agreement
        Correlation of the residuals of neutral guides between samples: founders drawn apart share none, so what is shared came before the samples parted.
    changes
        Natural logarithm of the abundance of each guide over neutral cells, less what drift does to logarithms, one column per sample.
    unit
        Of effects: ``"ln per hour"`` (growth against neutral cells), or ``"ln"`` (fold change).
    counts
        What was read.
    """

    genes: pd.DataFrame
    guides: pd.DataFrame
    left_out: pd.DataFrame
    founders: pd.DataFrame
    agreement: pd.DataFrame
    changes: pd.DataFrame
    unit: str
    counts: GuideCounts

    def left_out_in_words(self) -> str:
        """What was not tested, in a sentence; empty if all was."""
        if not len(self.left_out):
            return ""
        kept = set(self.guides["gene"])
        gone = [gene for gene in dict.fromkeys(self.left_out["gene"]) if gene and gene not in kept]
        genes = f", and with them all guides of {len(gone)} genes: {listed(gone)}" if gone else ""
        return f"{len(self.left_out)} guides have too few reads before and were left out{genes}"


@dataclass(frozen=True, kw_only=True)
class _Held:
    """One sample held against its reference."""

    name: str
    hours: float
    bottleneck: Bottleneck
    change: Float[np.ndarray, " guide"]
    variance: Float[np.ndarray, " guide"]
    residual: Float[np.ndarray, " guide"]


def analyse_abundance(data: GuideCounts, *, min_reads: int = 10, level: float = 0.9) -> AbundanceScreen:
    r"""Estimate what each gene does to the abundance of its cells, and which effects drift does not explain.

    In each sample founders, clone sizes and over-dispersion are fitted to the neutral guides (`estimate_founders`). Each guide then has a residual, the normal quantile of its count
    in that law, and a change of abundance, the natural logarithm of its count over that of neutral cells, less what drift alone does to logarithms. Both are averaged over
    samples, by hours and precision; residuals of guides of one gene are averaged and held against averages of neutral guides (`NeutralNull`), which
    carries everything that neutral guides share between animals and, where they target genes that do nothing, what guides of one gene share. Effects are means over guides with the guides' own spread (`gene_effects`).

    Parameters
    ----------
    data
        Counts.
    min_reads
        Guides with fewer reads in the reference are left out.
    level
        Coverage of intervals.

    Raises
    ------
    DataError
        If there are too few neutral guides, a sample has no reads of them, or its hours are not above those of its reference.
    """
    samples = data.samples
    rows = [int(row) for row in np.flatnonzero(samples["role"] == SAMPLE)]
    held: list[_Held] = []
    kept = np.ones(len(data.guides), bool)
    for row in rows:
        kept &= data.counts[:, _references(samples, row)].sum(axis=1) >= min_reads
    has_hours = bool(samples["hours"].notna().all())
    early = [str(samples["sample"].iloc[row]) for row in rows if has_hours and not _hours(samples, row) > 0]
    neutral = data.is_neutral & kept
    faults = []
    if early:
        faults.append(
            f"hours of {listed(early)} are not above those of the cells before; mend them, or leave all hours empty for fold changes"
        )
    if (n := int(neutral.sum())) < MIN_BARCODES:
        faults.append(f"{n} neutral guides with {min_reads} reads before, at least {MIN_BARCODES} are needed")
    raise_faults(DataError, "abundance", faults)
    for row in rows:
        held.append(_hold(data, row, kept, data.is_neutral[kept], level))
    hours = np.array([h.hours if has_hours else 1.0 for h in held])[:, None]
    precision = 1.0 / np.array([h.variance for h in held])
    residual = np.array([h.residual for h in held])
    weight = hours * np.sqrt(precision)
    score = (weight * np.clip(residual, -_MOST, _MOST)).sum(axis=0) / np.sqrt((weight**2).sum(axis=0))
    information = (hours**2 * precision).sum(axis=0)
    change = (hours * precision * np.array([h.change for h in held])).sum(axis=0) / information
    neutral = data.is_neutral[kept]
    change = change - np.median(change[neutral])
    inflation = max(1.0, float(np.mean(change[neutral] ** 2 * information[neutral])))
    guides = pd.DataFrame(
        {
            "guide": np.array(data.guides)[kept],
            "gene": np.array(data.genes)[kept],
            "neutral": neutral,
            "effect": change,
            "standard_error": np.sqrt(inflation / information),
            "score": score,
        }
    )
    names = guides["gene"].to_numpy()[neutral].tolist()
    null = NeutralNull(scores=score[neutral], correlation=shared_by_genes(score[neutral], names))
    guides["p"] = null.two_sided(score, 1)
    genes = _test(guides[data.is_tested[kept]], null, level)
    shares = genes.set_index("gene")[["effect", "fdr"]].reindex(guides["gene"])
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.clip(guides["effect"].to_numpy() / shares["effect"].to_numpy(), 0.0, None)
    guides["share_of_effect"] = np.where(shares["fdr"].to_numpy() <= 0.05, ratio, np.nan)
    founders = pd.DataFrame([{"sample": h.name, "cells": h.bottleneck.cells} | _row(h.bottleneck) for h in held])
    names = [h.name for h in held]
    agreement = pd.DataFrame(np.corrcoef(residual[:, neutral]).reshape(len(held), -1), index=names, columns=names)
    changes = pd.DataFrame({h.name: h.change - np.median(h.change[neutral]) for h in held}, index=guides["guide"])
    return AbundanceScreen(
        genes=genes,
        guides=guides,
        left_out=pd.DataFrame({"guide": np.array(data.guides)[~kept], "gene": np.array(data.genes)[~kept]}),
        founders=founders,
        agreement=agreement,
        changes=changes,
        unit="ln per hour" if has_hours else "ln",
        counts=data,
    )


def _references(samples: pd.DataFrame, row: int) -> np.ndarray:
    """References of a sample: those of its animal if there are, else all."""
    is_reference = (samples["role"] == REFERENCE).to_numpy()
    own = (
        is_reference
        & (samples["animal"] == samples["animal"].iloc[row]).to_numpy()
        & (samples["animal"] != "").to_numpy()
    )
    return np.flatnonzero(own if own.any() else is_reference)


def _hours(samples: pd.DataFrame, row: int) -> float:
    """Hours since the cells before."""
    return float(samples["hours"].iloc[row] - samples["hours"].iloc[_references(samples, row)].mean())


def _hold(data: GuideCounts, row: int, kept: np.ndarray, neutral: np.ndarray, level: float) -> _Held:
    references = _references(data.samples, row)
    shares = counted_shares(data.counts[kept][:, references].sum(axis=1))
    counts = data.counts[kept, row]
    name = str(data.samples["sample"].iloc[row])
    try:
        found = estimate_founders(counts[neutral], shares[neutral], level=level)
    except DataError as error:
        raise DataError(f"sample {name!r}: {error}") from error
    reads = float(counts[neutral].sum() / shares.share[neutral].sum())
    law = law_of(shares, reads, found.founders, found.clone_variance, found.dispersion)
    expected, variance = log_change_moments(law)
    return _Held(
        name=name,
        hours=_hours(data.samples, row),
        bottleneck=found,
        change=np.log((counts + 0.5) / (law.mean + 0.5)) - expected,
        variance=variance,
        residual=law.residual(counts),
    )


def _row(found: Bottleneck) -> dict[str, float]:
    return {field.name: getattr(found, field.name) for field in fields(found)}


def _test(guides: pd.DataFrame, null: NeutralNull, level: float) -> pd.DataFrame:
    genes = gene_effects(guides, level=level)
    genes["score"] = guides.groupby("gene", sort=True)["score"].mean().reindex(genes["gene"]).to_numpy()
    genes["p"] = 1.0
    for n in np.unique(genes["guides"]):
        rows = (genes["guides"] == n).to_numpy()
        genes.loc[rows, "p"] = null.two_sided(genes.loc[rows, "score"].to_numpy(), int(n))
    genes["fdr"] = false_discovery_control(genes["p"]) if len(genes) else []
    order = np.lexsort((-genes["score"].abs(), genes["p"]))
    return genes.iloc[order].reset_index(drop=True)
