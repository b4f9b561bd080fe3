"""Which genes are mitochondrial: by symbol, or by the Ensembl identifiers of the thirteen proteins of man and mouse."""

from __future__ import annotations

_HUMAN = "198888 198763 198804 198712 228253 198899 198938 198840 212907 198886 198786 198695 198727"
_MOUSE = "64341 64345 64351 64354 64356 64357 64358 64360 65947 64363 64367 64368 64370"
ENSEMBL = frozenset([f"ENSG{int(n):011d}" for n in _HUMAN.split()] + [f"ENSMUSG{int(n):011d}" for n in _MOUSE.split()])
"""ND1, ND2, CO1, CO2, ATP8, ATP6, CO3, ND3, ND4L, ND4, ND5, ND6 and CYB, in this order: man, then mouse."""


def is_mitochondrial(gene: str) -> bool:
    """Whether a gene stands on the mitochondrial genome, by its symbol or identifier."""
    return gene.upper().startswith(("MT-", "MT.")) or gene.split(".")[0] in ENSEMBL
