"""Which genes are mitochondrial: by symbol, or by the Ensembl identifiers of the proteins and ribosomal RNAs of man and mouse.

Transfer RNAs count by symbol only; they have hardly any counts, so that a share is nearly the same by either kind of name.
"""

from __future__ import annotations

_HUMAN = "198888 198763 198804 198712 228253 198899 198938 198840 212907 198886 198786 198695 198727 211459 210082"
_MOUSE = "64341 64345 64351 64354 64356 64357 64358 64360 65947 64363 64367 64368 64370 64337 64339"
ENSEMBL = frozenset([f"ENSG{int(n):011d}" for n in _HUMAN.split()] + [f"ENSMUSG{int(n):011d}" for n in _MOUSE.split()])
"""ND1, ND2, CO1, CO2, ATP8, ATP6, CO3, ND3, ND4L, ND4, ND5, ND6, CYB, RNR1 and RNR2, in this order: man, then mouse."""


def is_mitochondrial(gene: str) -> bool:
    """Whether a gene stands on the mitochondrial genome, by its symbol or identifier."""
    return gene.upper().startswith(("MT-", "MT.")) or gene.split(".")[0] in ENSEMBL
