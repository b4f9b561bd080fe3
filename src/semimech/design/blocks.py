"""Blocks: which edits go into which batch when they do not all fit."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from jaxtyping import Bool, Int

from semimech._errors import ConfigError

_SWEEPS = 200
_SMALL = 4_000
"""Places (edits × batches) up to which exchanges are tried after the first assignment."""


def assign_blocks(n_edits: int, sizes: Sequence[int] | Int[np.ndarray, " batch"]) -> Bool[np.ndarray, "edit batch"]:
    """Spread edits over batches as evenly as can be.

    Each edit stands in as many batches as any other, give or take one, and batches share as many edits with each
    other as can be made equal. The sum of squared overlaps of batches equals that of the concurrences of edits, which is
    least in a balanced incomplete block design, where there is one, ((M,S)-optimality: Eccleston & Hedayat, Annals of
    Statistics 2, 1238, 1974). Edits are assigned one after the other, then exchanged while that helps.

    Parameters
    ----------
    n_edits
        Number of edits.
    sizes
        Edits that each batch takes.

    Returns
    -------
    numpy.ndarray
        True where an edit stands in a batch.

    Raises
    ------
    ConfigError
        If some edit would stand in no batch.
    """
    left = np.minimum(np.asarray(sizes, dtype=int), n_edits)
    n_batches = len(left)
    if left.sum() < n_edits:
        raise ConfigError(
            f"Allocation: {n_edits} edits do not fit into {len(left)} batches of {', '.join(map(str, left))} edits; "
            "take more or larger batches, or fewer edits"
        )
    if (left == n_edits).all():
        return np.ones((n_edits, len(left)), dtype=bool)
    stands = np.zeros((n_edits, len(left)), dtype=bool)
    overlap = np.zeros((len(left), len(left)))
    wanted = np.full(n_edits, left.sum() // n_edits)
    wanted[: left.sum() % n_edits] += 1
    for edit in range(n_edits):
        chosen: list[int] = []
        # A batch with as many places as edits are left must take each of them.
        must = np.flatnonzero(left >= n_edits - edit)
        for number in range(max(int(wanted[edit]), len(must))):
            cost = overlap[chosen].sum(axis=0) - 1e-6 * left
            cost[left <= 0] = np.inf
            cost[chosen] = np.inf
            batch = int(must[number]) if number < len(must) else int(np.argmin(cost - 1e3 * left))
            if not np.isfinite(cost[batch]):
                break
            chosen.append(batch)
        stands[edit, chosen] = True
        left[chosen] -= 1
        overlap[np.ix_(chosen, chosen)] += 1
    if n_batches > 1 and stands.size <= _SMALL:
        _exchange(stands)
    return stands


def _exchange(stands: Bool[np.ndarray, "edit batch"]) -> None:
    """Swap two edits between two batches, replications and sizes kept, while the squared overlaps fall."""
    rng = np.random.default_rng(0)
    best = _unevenness(stands)
    n_batches = stands.shape[1]
    pairs = np.array(list(combinations(range(n_batches), 2)))
    for _ in range(_SWEEPS):
        before = best
        for a, b in rng.permutation(pairs):
            only_a, only_b = np.flatnonzero(stands[:, a] & ~stands[:, b]), np.flatnonzero(stands[:, b] & ~stands[:, a])
            for one in rng.permutation(only_a)[:8]:
                for other in rng.permutation(only_b)[:8]:
                    rows, columns = [one, one, other, other], [a, b, a, b]
                    stands[rows, columns] ^= True
                    now = _unevenness(stands)
                    if now < best:
                        best = now
                        break
                    stands[rows, columns] ^= True
                else:
                    continue
                break
        if best == before:
            return


def _unevenness(stands: Bool[np.ndarray, "edit batch"]) -> float:
    counts = stands.astype(float)
    overlap = counts.T @ counts
    return float((overlap**2).sum())
