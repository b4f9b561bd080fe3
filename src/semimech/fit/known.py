"""A hash of what is known beside the data."""

from __future__ import annotations

import hashlib

from semimech.model import Kinship, PriorNetwork


def digest_of_known(prior: PriorNetwork | None, kinship: Kinship | None) -> str:
    """Hash of known wiring and of tables of genes that act alike."""
    tables = [] if kinship is None else [*kinship.complexes.items(), *kinship.embeddings.items()]
    found = hashlib.sha256()
    if prior is not None:
        found.update(f"{prior.use} {prior.strength} {prior.counts}\n{prior.edges.to_csv()}".encode())
    for name, table in tables:
        found.update(f"{name}\n{table.to_csv()}".encode())
    return found.hexdigest()
