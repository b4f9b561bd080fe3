"""Screens in which every assumption that can be tested is true, or exactly one is false by a stated amount."""

from __future__ import annotations

from dataclasses import dataclass

import anndata as ad
import numpy as np
import scipy.sparse as sp

from semimech.data import CellSystem
from semimech.data.annotate import Annotation
from semimech.data.matrix import read_matrix
from semimech.data.screen import Screen
from semimech.experiment import Condition, parse_experiment

VIOLATIONS = (
    "control stationarity",
    "settled at harvest",
    "commuting order",
    "additive combinations",
    "medium-independent effect",
    "full efficacy",
    "no growth selection or bottleneck",
    "depth independent of edit",
)
"""Assumptions that can be made false, one at a time; an effect that has not settled is no effect independent of time either."""

HOURS = (48.0, 96.0)
KNOCKED_DOWN = 0.25


@dataclass(frozen=True, kw_only=True)
class Size:
    """Size of a screen.

    Parameters
    ----------
    cells
        Mean number of cells per condition and batch; unedited ones are three times as many.
    batches, genes, edits
        Numbers of them; two pairs of edits come on top.
    depth
        Median counts per cell.
    dispersion
        Over-dispersion of counts, as the variance of the rate relative to its squared mean.
    """

    cells: int = 40
    batches: int = 2
    genes: int = 60
    edits: int = 10
    depth: float = 1500.0
    dispersion: float = 0.5


def make_screen(size: Size, *, seed: int, violated: str | None = None, strength: float = 1.0) -> Screen:
    """A screen of CRISPRi edits and pairs at two times, in two media, in both orders.

    Effects of edits, of the medium and of each batch are on genes of their own, so that they add up on the logarithmic scale up to
    the normalisation to a common sum.

    Parameters
    ----------
    size
        Numbers of cells, batches, genes and edits.
    seed
        Of everything.
    violated
        The assumption that is false, one of `VIOLATIONS`; none if not given.
    strength
        By how much: the logarithm of the fold change of the genes or numbers concerned, in units of 0.5; for full efficacy the share
        of escapers in units of 0.3.
    """
    rng = np.random.default_rng(seed)
    names = [f"G{i}" for i in range(size.genes)]
    level = rng.normal(0.0, 1.0, size.genes)
    loading = 0.3 * rng.normal(size=(3, size.genes))
    batch_effect = 0.3 * rng.normal(size=(size.batches, size.genes))
    blocks = np.array_split(rng.permutation(np.arange(size.edits, size.genes)), size.edits + 3)
    level[: size.edits] = 1.5  # targets are seen

    def block(number: int) -> np.ndarray:
        """Half of the genes of a block go up, the others down."""
        change = np.zeros(size.genes)
        change[blocks[number]] = 0.5 * (-1.0) ** np.arange(len(blocks[number]))
        return change

    medium, drift, fresh = (block(size.edits + k) for k in range(3))
    conditions: list[Condition] = []
    rows, condition_of, batch_of = [], [], []

    def add(protocol: str, edits: tuple[int, ...], in_medium: bool, late: bool, extra: np.ndarray) -> None:
        conditions.append(parse_experiment(protocol + " > harvest").conditions["harvest"])
        change = sum((block(e) for e in edits), np.zeros(size.genes)) + in_medium * medium + extra
        if violated == "control stationarity" and late:
            change = change + strength * drift
        if violated == "settled at harvest" and late:
            change = change + strength * sum((block(e) for e in edits), np.zeros(size.genes))
        if violated == "medium-independent effect" and in_medium:
            change = change - strength * sum((block(e) for e in edits), np.zeros(size.genes))
        if violated == "additive combinations" and len(edits) > 1:
            change = change + strength * fresh
        for b in range(size.batches):
            expected = size.cells * (1 if edits else 3)
            if violated == "no growth selection or bottleneck" and late and edits and edits[0] % 3 == 0:
                expected *= np.exp(-strength)
            n = max(int(rng.poisson(expected)), 2)
            log_rate = level + change + batch_effect[b] + rng.normal(size=(n, 3)) @ loading
            rate = np.exp(log_rate) * rng.gamma(1.0 / size.dispersion, size.dispersion, (n, size.genes))
            for e in edits:
                escaped = (violated == "full efficacy") & (rng.random(n) < 0.3 * strength)
                rate[:, e] *= np.where(escaped, 1.0, KNOCKED_DOWN)
            depth = size.depth * np.exp(rng.normal(0.0, 0.3, n))
            if violated == "depth independent of edit" and edits:
                depth *= np.exp(-0.5 * strength)
            rate *= (depth / rate.sum(axis=1))[:, None]  # no edit changes the depth by itself
            rows.append(rng.poisson(rate))
            condition_of.append(np.full(n, len(conditions) - 1))
            batch_of.append(np.full(n, b))

    none = np.zeros(size.genes)
    made = [(), *((e,) for e in range(size.edits)), (0, 1), (2, 3)]
    for edits in made:
        said = " > ".join(f"edit {names[e]} crispri 0.75" for e in edits)
        said = f"{said} > " if said else ""
        for late, hours in enumerate(HOURS):
            add(f"{said}wait {hours}h", edits, False, bool(late), none)
        if len(edits) < 2:
            add(f"medium M > {said}wait {HOURS[0]}h", edits, True, False, none)
    add("wait 48h > medium M > wait 48h", (), True, False, none)
    add("medium M > wait 96h", (), True, False, none)
    for e in range(2):
        edit, switch = f"edit {names[e]} crispri 0.75", "medium M"
        other = strength * fresh if violated == "commuting order" else none
        add(f"{edit} > wait 48h > {switch} > wait 48h", (e,), True, False, none)
        add(f"{switch} > wait 48h > {edit} > wait 48h", (e,), True, False, other)
    counts = np.concatenate(rows).astype(np.float32)
    counts[counts.sum(axis=1) == 0, 0] = 1
    measurement, _ = read_matrix(ad.AnnData(X=sp.csr_matrix(counts)))
    assert measurement is not None
    return Screen(
        annotation=Annotation(
            conditions=tuple(conditions),
            condition=np.concatenate(condition_of),
            batches=tuple(f"b{b}" for b in range(size.batches)),
            batch=np.concatenate(batch_of),
            system=CellSystem(media=("M",)),
            columns={"batch": "batch"},
            genes=tuple(names),
            findings=(),
        ),
        measurement=measurement,
        var_names=tuple(names),
        findings=(),
    )
