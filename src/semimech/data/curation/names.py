"""Checks of names of genes: which kind of identifier they are, and whether edits use the same."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from semimech.data.findings import CheckFinding, listed, passed, warned
from semimech.data.screen import Screen

_ENSEMBL = re.compile(r"ENS[A-Z]{0,6}G\d{11}(\.\d+)?(_PAR_Y)?(-\d+)?")
"""Ensembl identifiers, with or without a version, and with the number that makes repeated names unique."""
_ENTREZ = re.compile(r"\d+")
_DATE = re.compile(r"(\d{1,2}-(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)|(mar|sep|dec)-\d{1,2})", re.IGNORECASE)


def kind_of_name(name: str) -> str:
    """Whether a name is an ``"Ensembl"`` identifier, an ``"Entrez"`` number, a ``"date"`` or a ``"symbol"``.

    Dates are symbols such as MARCH1 and SEPT2 after a spreadsheet (Ziemann et al. 2016, doi:10.1186/s13059-016-1044-7).
    """
    if _ENSEMBL.fullmatch(name):
        return "Ensembl"
    if _ENTREZ.fullmatch(name):
        return "Entrez"
    return "date" if _DATE.fullmatch(name) else "symbol"


def without_version(name: str) -> str:
    """An Ensembl identifier without its version; other names as they are."""
    return name.split(".")[0] if _ENSEMBL.fullmatch(name) and "_PAR_Y" not in name else name


def check_gene_names(screen: Screen) -> Iterable[CheckFinding]:
    """Whether genes are named by identifiers of one kind, each gene once."""
    genes = screen.annotation.genes
    by_kind: dict[str, list[str]] = {}
    for gene in genes:
        by_kind.setdefault(kind_of_name(gene), []).append(gene)
    faults = []
    dates = by_kind.pop("date", [])
    if dates:
        faults.append(f"{len(dates)} are dates made by a spreadsheet: {listed(dates)}")
    if len(by_kind) > 1:
        faults.append(
            f"kinds are mixed: {', '.join(f'{len(v)} {k} ({listed(v, limit=2)})' for k, v in by_kind.items())}"
        )
    faults += [
        f"{len(twins)} genes stand under two {how}: {listed(twins)}"
        for how, twins in (
            ("versions of an identifier", _twins(genes, [without_version(gene) for gene in genes])),
            ("spellings that differ in case", _twins(genes, [gene.casefold() for gene in genes])),
            ("names made unique by a number", _suffixed(genes)),
        )
        if twins
    ]
    if not faults:
        kind = next(iter(by_kind), "symbol")
        yield passed("gene identifiers", f"all {len(genes)} genes are named by {_IN_WORDS[kind]}")
        return
    yield warned(
        "gene identifiers",
        "; ".join(faults),
        threatens="links to edits, prior networks and gene lists, which go by name; a gene's counts stand in two columns",
        mend="name genes from one annotation, and add up the counts of columns that are one gene",
    )


_IN_WORDS = {"Ensembl": "Ensembl identifiers", "Entrez": "Entrez numbers", "symbol": "symbols"}


def check_edit_names(screen: Screen) -> Iterable[CheckFinding]:
    """Whether edits and genes are named by identifiers of one kind."""
    genes = screen.annotation.genes
    targets = sorted(
        {e.gene for c in screen.annotation.conditions for p in c.history for e in p.context.edits if not e.compound}
    )
    measured = set(genes)
    foreign = [t for t in targets if t not in measured]
    kinds = {kind_of_name(gene) for gene in genes}
    kinds -= {"date"} if len(kinds) > 1 else set()
    other = [t for t in foreign if kind_of_name(t) not in kinds] if len(kinds) == 1 else []
    versions = {without_version(gene) for gene in genes}
    unversioned = [t for t in foreign if without_version(t) in versions]
    if not other and not unversioned:
        yield passed("names of edits", "edits and genes are named by the same kind of identifier")
        return
    if unversioned:
        said, mend = f"{len(unversioned)} edits differ from a gene by its version", "leave the versions out"
    else:
        kind = _IN_WORDS[next(iter(kinds))] if next(iter(kinds)) in _IN_WORDS else "dates"
        said = f"{len(other)} of {len(targets)} edits are named otherwise than the genes, which are {kind}"
        mend = "add the other names as var['gene_symbol'], or translate the edits"
    yield warned(
        "names of edits",
        f"{said}: {listed(unversioned or other)}",
        threatens="edits of measured genes, which are taken for edits of unmeasured ones",
        mend=mend,
    )


def _twins(genes: Sequence[str], keys: Sequence[str]) -> list[str]:
    """Genes whose key another gene has too, as ``a = b``."""
    members: dict[str, list[str]] = {}
    for gene, key in zip(genes, keys, strict=True):
        members.setdefault(key, []).append(gene)
    return [" = ".join(names) for names in members.values() if len(names) > 1]


def _suffixed(genes: Sequence[str]) -> list[str]:
    """Genes that stand a second time with the number that ``var_names_make_unique`` appends."""
    known = set(genes)
    stems = ((gene, re.sub(r"-\d$", "", gene)) for gene in genes)
    return [f"{stem} = {gene}" for gene, stem in stems if stem != gene and stem in known]
