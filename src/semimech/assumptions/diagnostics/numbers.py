"""What numbers of cells say: whether batches hold controls beside their edits, and whether shares of edits change with time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from semimech.assumptions.catalogue import BATCH_BALANCED
from semimech.assumptions.diagnostics.evidence import Draws
from semimech.assumptions.diagnostics.finding import Finding, Verdict, untested
from semimech.assumptions.diagnostics.groups import N_DRAWS, Groups
from semimech.assumptions.diagnostics.responses import made
from semimech.data.batch_effect import MIN_CONTROLS
from semimech.data.findings import listed
from semimech.data.screen import Screen

ENOUGH_EDITS = 8
"""Edits, or degrees of freedom between batches, that are needed to learn how much numbers vary beyond counting."""
_MEDIAN_EFFICIENCY = 0.37
"""Of the median absolute deviation of normal values, relative to their standard deviation (Rousseeuw & Croux 1993, JASA 88:1273)."""


def batch_balanced(groups: Groups) -> Finding:
    """Whether each batch with edited cells has unedited ones to compare them with: a property of the design, without test."""
    annotation, assumption = groups.screen.annotation, BATCH_BALANCED
    if not groups.screen.is_control.any():
        return untested(assumption, "there are no unedited cells")
    if groups.screen.is_control.all():
        return untested(assumption, "there are no edited cells", "edited cells")
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

    With :math:`l_{pb} = \log(n_{pb} + ½) - \log(n_{∅b} + ½)` in batch :math:`b`, the change is the mean of :math:`l` over batches at the last time minus that
    at the first. The variance of the logarithm of a number is :math:`1/n + \tau^2`: that of counting, and what numbers vary beyond it. Where several
    batches were harvested at a time, :math:`\tau` is from what is left of :math:`l_{pb}` beside an edit's and a batch's mean. Elsewhere it is from the
    scaled median deviation of changes over edits, of which most should then not be selected.

    Returns
    -------
    tuple or str
        Names, draws in natural logarithms, and the over-dispersion in words; or why there are none.
    """
    annotation = screen.annotation
    n = np.zeros((len(annotation.conditions), len(annotation.batches)))
    np.add.at(n, (annotation.condition, annotation.batch), 1.0)
    by_media: dict[object, list[int]] = {}
    for i, condition in enumerate(annotation.conditions):
        if np.isfinite(condition.hours) and not condition.washed_out:
            by_media.setdefault(condition.media, []).append(i)
    paths = [path for path in (_path(screen, members, n) for members in by_media.values()) if path is not None]
    if not paths:
        return "no edit was harvested at two times beside 10 unedited cells of each"
    names = tuple(name for path in paths for name in path.names)
    change, own = (np.concatenate([getattr(path, what) for path in paths]) for what in ("change", "own"))
    owner = np.repeat(np.arange(len(paths)), [len(path.names) for path in paths])
    shared, means = (np.array([getattr(path, what) for path in paths])[owner] for what in ("shared", "means"))
    degrees = float(sum(path.degrees for path in paths))
    if degrees >= ENOUGH_EDITS:
        over, by = sum(path.left for path in paths) / degrees, "between batches"
        cells = sum(path.cells * path.degrees for path in paths) / degrees
    elif len(names) >= ENOUGH_EDITS:
        apart = 1.4826 * float(np.median(np.abs(change - np.median(change))))
        over, by, degrees = apart**2 / float(np.median(own)), "between edits", _MEDIAN_EFFICIENCY * (len(names) - 1)
        cells = float(np.median(means) / np.median(own))
    else:
        return f"{len(names)} edits in one batch are too few to learn how numbers vary beyond counting"
    over = max(over, 1.0)

    def variance(counting: Float[np.ndarray, " edit"], over: Float[np.ndarray, "*draw 1"]) -> np.ndarray:
        return counting + means * np.maximum(over - 1.0, 0.0) / cells

    of_edit, of_control = variance(own, np.array([over])), variance(shared, np.array([over]))
    whole = of_edit + of_control
    common = rng.normal(size=(N_DRAWS, len(paths)))[:, owner] * np.sqrt(of_control)
    noise = rng.normal(size=(N_DRAWS, len(names))) * np.sqrt(of_edit) + common
    # Draws err in the over-dispersion as data do: theirs is estimated, and 1 where less is found.
    estimated = over * rng.chisquare(degrees, (N_DRAWS, 1)) / degrees
    noise *= np.sqrt(whole / (variance(own, estimated) + variance(shared, estimated)))
    draws = Draws(square=change**2, expected=whole, noise=noise**2, cross=noise * change)
    return names, draws, f"{by} numbers vary {over:.1f} times as much as counting explains"


@dataclass(frozen=True, kw_only=True)
class _Path:
    """Changes of edits from first to last harvest in the same media, and what numbers vary between batches."""

    names: tuple[str, ...]
    change: Float[np.ndarray, " edit"]
    own: Float[np.ndarray, " edit"]
    shared: float
    means: float
    cells: float
    left: float
    degrees: int


def _path(screen: Screen, members: list[int], n: Float[np.ndarray, "condition batch"]) -> _Path | None:
    conditions = screen.annotation.conditions
    ends = sorted({conditions[i].hours for i in members})[:: max(len({conditions[i].hours for i in members}) - 1, 1)]
    place = {(conditions[i].hours, made(conditions[i])): i for i in members}
    edits = sorted({e for t, e in place if e and all((end, e) in place for end in ends)}, key=str)
    if len(ends) < 2 or not edits or any((end, frozenset()) not in place for end in ends):
        return None
    change, own = np.zeros(len(edits)), np.zeros(len(edits))
    shared, means, cells, left, degrees = 0.0, 0.0, 0.0, 0.0, 0
    for sign, end in zip((-1.0, 1.0), ends, strict=True):
        control = n[place[end, frozenset()]]
        used = control >= MIN_CONTROLS
        if not used.any():
            return None
        edited = n[[place[end, e] for e in edits]][:, used] + 0.5
        level = np.log(edited) - np.log(control[used] + 0.5)
        change += sign * level.mean(axis=1)
        own += (1.0 / edited).sum(axis=1) / used.sum() ** 2
        shared += float((1.0 / (control[used] + 0.5)).sum() / used.sum() ** 2)
        means += 1.0 / used.sum()
        cells += float(edited.mean()) / 2
        apart = level - level.mean(axis=1, keepdims=True) - level.mean(axis=0) + level.mean()
        left += float((apart**2 * edited).sum())
        degrees += (len(edits) - 1) * (int(used.sum()) - 1)
    names = tuple("+".join(sorted(edit.gene for edit, _ in e)) for e in edits)
    return _Path(
        names=names, change=change, own=own, shared=shared, means=means, cells=cells, left=left, degrees=degrees
    )
