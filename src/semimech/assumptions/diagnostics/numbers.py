"""What numbers of cells say: whether batches hold controls beside their edits, and whether shares of edits change with time."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from semimech.assumptions.catalogue import BATCH_BALANCED
from semimech.assumptions.diagnostics.evidence import Draws
from semimech.assumptions.diagnostics.finding import Finding, Verdict, untested
from semimech.assumptions.diagnostics.groups import N_DRAWS, Groups
from semimech.data.batch_effect import MIN_CONTROLS
from semimech.data.findings import listed
from semimech.data.screen import Screen

ENOUGH_EDITS = 8
"""Edits that are needed to learn from their spread how much numbers vary beyond counting."""


def batch_balanced(groups: Groups) -> Finding:
    """Whether each batch with edited cells has unedited ones to compare them with: a property of the design, without test."""
    annotation, assumption = groups.screen.annotation, BATCH_BALANCED
    if not groups.screen.is_control.any():
        return untested(assumption, "there are no unedited cells")
    if len(annotation.batches) == 1 and "batch" not in annotation.columns:
        return untested(assumption, "batches are not named", "a column that names the batch of each cell (--batch-key)")
    code = annotation.condition * len(annotation.batches) + annotation.batch
    n = {
        divmod(int(c), len(annotation.batches)): int(size)
        for c, size in zip(*np.unique(code, return_counts=True), strict=True)
        if annotation.conditions[int(c) // len(annotation.batches)].edits
    }
    beside = {pair: sum(int(groups.size[g]) for g in groups.controls(*pair)) >= MIN_CONTROLS for pair in n}
    alone = sum(size for pair, size in n.items() if not beside[pair])
    share = alone / max(sum(n.values()), 1)
    lost = sorted({i for i, _ in n} - {i for (i, _), is_beside in beside.items() if is_beside})
    names = listed(sorted({annotation.conditions[i].perturbation for i in lost}), limit=4)
    said = f"{1 - share:.0%} of edited cells stand in a batch with {MIN_CONTROLS} matched unedited cells"
    if lost:
        said += f"; {len(lost)} edited conditions have no cell there: {names}"
    verdict: Verdict = "fails" if lost else "holds"
    return Finding(
        assumption=assumption,
        verdict=verdict,
        evidence=said,
        size=share,
        margin=0.0,
        unit="share of cells",
        comparisons=len(n),
    )


def shares(screen: Screen, rng: np.random.Generator) -> tuple[tuple[str, ...], Draws, str] | str:
    r"""Change of each edit's number of cells against unedited cells, from the first harvest to the last.

    With :math:`l = \log(n_p + ½) - \log(n_∅ + ½)` in each batch, the change is the mean of :math:`l` over batches at the last time minus that at
    the first; its variance is that of counting, :math:`1/n`, times an over-dispersion :math:`\varphi \ge 1`: the squared, scaled median
    deviation of standardised changes over edits, so that most edits should not be selected for or against.

    Returns
    -------
    tuple or str
        Names, draws in natural logarithms, and the over-dispersion in words; or why there are none.
    """
    annotation = screen.annotation
    conditions = annotation.conditions
    n = np.zeros((len(conditions), len(annotation.batches)))
    np.add.at(n, (annotation.condition, annotation.batch), 1.0)
    paths: dict[object, list[int]] = {}
    for i, condition in enumerate(conditions):
        if np.isfinite(condition.hours) and not condition.washed_out:
            paths.setdefault(condition.media, []).append(i)
    names: list[str] = []
    change, own, shared = (np.zeros(0) for _ in range(3))
    path_of: list[int] = []
    for number, members in enumerate(paths.values()):
        found = _path(screen, members, n)
        names += [name for name, *_ in found]
        change, own, shared = (
            np.append(old, [row[k] for row in found]) for k, old in ((1, change), (2, own), (3, shared))
        )
        path_of += [number] * len(found)
    if not names:
        return "no edit was harvested at two times beside unedited cells, with 10 cells at one of them"
    if len(names) < ENOUGH_EDITS:
        return f"only {len(names)} edits were harvested twice: too few to learn how numbers vary beyond counting"
    z = change / np.sqrt(own)
    over = max(1.0, float(1.4826 * np.median(np.abs(z - np.median(z)))) ** 2)
    common = rng.normal(size=(N_DRAWS, max(path_of) + 1))[:, path_of] * np.sqrt(shared)
    noise = np.sqrt(over) * (rng.normal(size=(N_DRAWS, len(names))) * np.sqrt(own) + common)
    draws = Draws(square=change**2, expected=over * (own + shared), noise=noise**2, cross=noise * change)
    return tuple(names), draws, f"numbers vary {over:.1f} times as much as counting explains"


def _path(
    screen: Screen, members: list[int], n: Float[np.ndarray, "condition batch"]
) -> list[tuple[str, float, float, float]]:
    """Name, change, variance of its own and of the controls, for each edit harvested first and last in the same media."""
    conditions = screen.annotation.conditions
    hours = sorted({conditions[i].hours for i in members})
    if len(hours) < 2:
        return []

    def at(time: float, perturbation: str) -> np.ndarray:
        rows = [i for i in members if conditions[i].hours == time and conditions[i].perturbation == perturbation]
        return n[rows].sum(axis=0)

    found = []
    for name in sorted({conditions[i].perturbation for i in members if conditions[i].edits}):
        level, own, shared = [], 0.0, 0.0
        for time in (hours[0], hours[-1]):
            edited, control = at(time, name), at(time, "control")
            used = (control >= MIN_CONTROLS) & (n[members].sum(axis=0) > 0)
            if not used.any():
                break
            level.append((np.log(edited[used] + 0.5) - np.log(control[used] + 0.5)).mean())
            own += (1.0 / (edited[used] + 0.5)).sum() / used.sum() ** 2
            shared += (1.0 / (control[used] + 0.5)).sum() / used.sum() ** 2
        enough = max(at(hours[0], name).sum(), at(hours[-1], name).sum()) >= MIN_CONTROLS
        if len(level) == 2 and enough:
            found.append((name, float(level[1] - level[0]), float(own), float(shared)))
    return found
