"""Checks of the design: times, media and edits against batches, and edits whose cells get lost."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import scipy.sparse as sp
from jaxtyping import Int
from scipy.sparse.csgraph import connected_components

from semimech.data.curation.shifts import threshold
from semimech.data.findings import CheckFinding, listed, passed, warned
from semimech.data.screen import Screen

LOST = 3.0
"""Fall of the number of cells of an edit, relative to other edits, that calls for attention."""
FEW_EDITS = 5
"""Fewer edits than this give no reference for the numbers of cells."""


def separable_groups(
    level: Int[np.ndarray, " cell"], batch: Int[np.ndarray, " cell"]
) -> tuple[int, Int[np.ndarray, " level"]]:
    """Groups of levels that batches link: levels of two groups share no batch, directly or through others.

    Returns
    -------
    tuple
        Number of groups, and the group of each level.
    """
    n_levels, n_batches = int(level.max()) + 1, int(batch.max()) + 1
    links = sp.csr_matrix((np.ones(len(level)), (level, n_levels + batch)), shape=(n_levels + n_batches,) * 2)
    labels = connected_components(links, directed=False)[1][:n_levels]
    groups, group = np.unique(labels, return_inverse=True)
    return len(groups), group


def check_time_and_batch(screen: Screen) -> Iterable[CheckFinding]:
    """Whether times can be compared within batches."""
    hours = np.array([c.hours for c in screen.annotation.conditions])
    names, level = np.unique(hours, return_inverse=True)
    yield from _nested(screen, "time and batch", level, [f"{h:g} h" for h in names], "times")


def check_medium_and_batch(screen: Screen) -> Iterable[CheckFinding]:
    """Whether media can be compared within batches."""
    home = screen.annotation.system.maintenance_medium
    media = [" > ".join(m or home for m in c.media) for c in screen.annotation.conditions]
    names, level = np.unique(np.array(media, dtype=object), return_inverse=True)
    yield from _nested(screen, "medium and batch", level, list(map(str, names)), "media")


def _nested(
    screen: Screen, check: str, level: Int[np.ndarray, " condition"], names: list[str], what: str
) -> Iterable[CheckFinding]:
    n_batches = len(screen.annotation.batches)
    if len(names) < 2 or n_batches < 2:
        return
    n_groups, group = separable_groups(level[screen.annotation.condition], screen.annotation.batch)
    if n_groups == 1:
        yield passed(check, f"{len(names)} {what} are linked by {n_batches} batches")
        return
    apart = " | ".join(listed(names[i] for i in np.flatnonzero(group == g)) for g in range(n_groups))
    yield warned(
        check,
        f"{what} of {n_groups} groups share no batch: {apart}",
        threatens=f"differences between {what} of different groups: they cannot be told from those between batches, "
        "unless unedited cells are known not to differ",
        mend=f"harvest two {what} in one batch, or freeze cells of one and sequence them with the other",
    )


def check_batches_of_edits(screen: Screen) -> Iterable[CheckFinding]:
    """Whether some edits stand in one batch only while others are repeated."""
    annotation = screen.annotation
    n_batches = len(annotation.batches)
    perturbation = np.array([c.perturbation for c in annotation.conditions], dtype=object)[annotation.condition]
    edited = ~screen.is_control
    if n_batches < 2 or not edited.any():
        return
    seen: dict[str, set[int]] = {}
    for edit, batch in set(zip(perturbation[edited].tolist(), annotation.batch[edited].tolist(), strict=True)):
        seen.setdefault(edit, set()).add(batch)
    single = sorted(edit for edit, batches in seen.items() if len(batches) == 1)
    if not single:
        yield passed("batches per edit", f"every edit stands in at least two of {n_batches} batches")
        return
    yield warned(
        "batches per edit",
        f"{len(single)} of {len(seen)} edits stand in a single batch: {listed(single)}",
        threatens="their effects, which cannot be told from what else befell their cells in that batch, and their standard errors",
        mend="repeat them in a second batch; until then read their intervals as too narrow",
    )


def check_lost_cells(screen: Screen) -> Iterable[CheckFinding]:
    """Whether cells of some edits become rare with time, relative to the other edits."""
    name, annotation = "loss of cells", screen.annotation
    table: dict[tuple[str, str], dict[float, int]] = {}
    n = np.bincount(annotation.condition, minlength=len(annotation.conditions))
    for condition, size in zip(annotation.conditions, n, strict=True):
        if condition.edits and np.isfinite(condition.hours):
            sizes = table.setdefault((condition.perturbation, str(condition.media)), {})
            sizes[condition.hours] = sizes.get(condition.hours, 0) + int(size)
    series = {key: sizes for key, sizes in table.items() if len(sizes) > 1}
    if len(series) < FEW_EDITS:
        yield passed(name, f"cannot tell: fewer than {FEW_EDITS} edits are harvested at two times")
        return
    ends = {key: (sizes[min(sizes)], sizes[max(sizes)], min(sizes), max(sizes)) for key, sizes in series.items()}
    fall = np.array([np.log(late / early) for early, late, *_ in ends.values()])
    by_pair: dict[tuple[float, float], list[float]] = {}
    for (_, _, first, last), value in zip(ends.values(), fall, strict=True):
        by_pair.setdefault((first, last), []).append(value)
    usual = np.array([np.median(by_pair[first, last]) for _, _, first, last in ends.values()])
    error = np.array([np.sqrt(1 / early + 1 / late) for early, late, *_ in ends.values()])
    spread = 1.4826 * float(np.median(np.abs(fall - usual)))
    z = threshold(len(ends))
    lost = np.flatnonzero((usual - fall > np.log(LOST)) & (usual - fall > z * np.maximum(error, spread)))
    if not len(lost):
        yield passed(name, f"no edit of {len(ends)} loses cells ×{LOST:g} faster than the others")
        return
    keys = list(ends)
    names = listed(f"{keys[i][0]} (×{np.exp(fall[i] - usual[i]):.2f})" for i in lost)
    yield warned(
        name,
        f"cells of {len(lost)} edits become rarer between first and last harvest than those of the others: {names}",
        threatens="their late effects, which are those of the cells that survive or escaped the edit",
        mend="read late effects as those of survivors, harvest these edits earlier, and look at escapers",
    )
