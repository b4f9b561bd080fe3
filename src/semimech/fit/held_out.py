"""What the last runs of a fit hold out, and what follows from it: shares of corrections, and calibrated intervals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from semimech.data import Dataset
from semimech.experiment import Condition
from semimech.fit.calibrate import Calibration, calibrate
from semimech.fit.compose import Seen, merged, names_of, without_edits
from semimech.fit.linear import LinearEffects
from semimech.fit.pooling import cross_fitted
from semimech.fit.problem import edited_genes

_GROUPS = 30
Means = Float[np.ndarray, "condition gene"]


@dataclass(frozen=True, kw_only=True)
class Untested:
    """Shares where nothing was held out that could tell them.

    Parameters
    ----------
    later
        After the last harvest: of the residual of unedited cells, of what goes beyond it, and of the law's change since, taken back.
    parts
        Of what the law says beyond the sum of parts, of the residuals of parts, and of what all conditions that carry the edits say.
    between
        Between harvests: of the way to the measured change, linear in time.
    """

    later: tuple[float, float, float]
    parts: tuple[float, float, float]
    between: float


LAW_ALONE = Untested(later=(1.0, 0.0, 0.0), parts=(1.0, 0.0, 0.0), between=0.0)
BETWEEN = Untested(later=(1.0, 1.0, 0.5), parts=(0.25, 1.0, 0.5), between=1 / 3)
"""From what was measured, half of the law's change since; nearer to the sum of measured parts than to the law of a combination; and between harvests at most a third of the way to a line through them (`semimech.fit.finish.line_share`): few cells at
either end are noise that a line averages, and `shrunk` holds it for misfit only where it exceeds the noise, of which the law has fitted a part."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Shares:
    """Shares of corrections, and intervals after them, as in `semimech.fit.record.Fit`.

    Parameters
    ----------
    carry_over
        At times between harvests, after the last when others were harvested as late, and after all: of the residual of unedited cells, of
        what goes beyond it, and, between harvests, of the way from there to the measured change, linear in time; after them, of what the law says would still have changed since the last harvest, taken back.
    compose
        Of what the law says beyond the sum of parts, of the residual of unedited cells, of those of the parts, and of what all conditions
        that carry the edits say beyond that.
    widths
        Calibrations of ``seen``, ``late``, ``later`` and ``parts``, where there was something to calibrate on.
    """

    carry_over: Float[np.ndarray, "3 3"]
    compose: Float[np.ndarray, 4]
    widths: dict[str, Calibration]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Tested:
    """Held-out conditions of one kind: predictions of the laws, the steps that correct them, and rows of the data."""

    rows: list[int]
    start: list[Float[np.ndarray, " gene"]]
    steps: list[Float[np.ndarray, "step gene"]]

    def add(self, row: int, start: Float[np.ndarray, " gene"], steps: Sequence[Float[np.ndarray, " gene"]]) -> None:
        """Add a condition."""
        self.rows.append(row)
        self.start.append(start)
        self.steps.append(np.stack(steps))


def held_out_tests(dataset: Dataset, *, has_composites: bool, seed: int) -> list[Bool[np.ndarray, " condition"]]:
    """Rows that each of the last runs holds out.

    One holds out the last harvest of everything that was edited and harvested twice, so that nothing is as late. Another holds out the
    last harvest of every second course, of the others one between two harvests, and a third of the combinations whose parts
    were seen alone, or whose edits otherwise (`held_out_composites`).

    Parameters
    ----------
    dataset
        Training conditions.
    has_composites
        Whether to hold out combinations.
    seed
        Which of them.
    """
    conditions, seen = dataset.conditions, seen_of(dataset, np.zeros_like(dataset.mean))
    last, mixed = np.zeros((2, len(conditions)), dtype=bool)
    curves: dict[tuple[object, ...], list[int]] = {}
    for row, condition in enumerate(conditions):
        if not condition.is_control:
            curves.setdefault(seen.shape(condition), []).append(row)
    for number, rows in enumerate(curves.values()):
        times = np.array([conditions[row].hours for row in rows])
        different = np.unique(times)
        if len(different) > 1:
            last[np.array(rows)[times == different[-1]]] = True
        if len(different) > 1 and number % 2:
            mixed[np.array(rows)[times == different[-1]]] = True
        elif len(different) > 2:
            mixed[np.array(rows)[times == different[1 + number // 2 % (len(different) - 2)]]] = True
    composites = held_out_composites(seen, seed=seed) if has_composites else np.zeros_like(mixed)
    return [rows for rows in (last, mixed | composites) if rows.any()]


def held_out_composites(seen: Seen, *, seed: int) -> np.ndarray:
    """A third of what was done in combination, at random, all times of it, where its parts were harvested alone or its edits otherwise."""
    shapes = [seen.shape(condition) for condition in seen.conditions]
    first = dict(zip(reversed(shapes), reversed(seen.conditions), strict=True))
    carried = Counter(name for condition in first.values() for name in names_of(condition))

    def is_told(condition: Condition) -> bool:
        names = names_of(condition)
        return seen.terms(condition) is not None or (len(names) > 1 and all(carried[name] > 1 for name in names))

    composites = [each for each in dict.fromkeys(shapes) if is_told(first[each])]
    order = np.random.default_rng(seed).permutation(len(composites))
    out = {composites[i] for i in order[: -(-len(composites) // 3)]}
    return np.array([each in out for each in shapes], dtype=bool)


def find_shares(
    dataset: Dataset,
    tests: Sequence[Bool[np.ndarray, " condition"]],
    predicted: Sequence[Means],
    predict: Sequence[Callable[[Sequence[Condition]], Means]],
    *,
    untested: Untested,
    between: Callable[[], float] | None = None,
) -> Shares:
    """Shares of corrections that help most on what was held out, and intervals of what others' shares then predicted of each.

    Parameters
    ----------
    dataset
        Training conditions.
    tests
        Rows held out, from `held_out_tests`.
    predicted
        Means of all training conditions by the run of each test.
    predict
        The same run for other conditions.
    untested
        Shares where no last harvest, no combination, or none between two others could be held out. Of cells that move unedited only the law knows later times.
    between
        Finds the share between harvests where that is so; that of ``untested`` if not given.
    """
    kinds = {kind: _Tested(rows=[], start=[], steps=[]) for kind in ("seen", "late", "later", "parts")}
    for out, means, ask in zip(tests, predicted, predict, strict=True):
        _collect(kinds, dataset, out, means, ask)
    own = edited_genes(dataset)
    found, widths = {}, {}
    for kind, tested in kinds.items():
        if not tested.rows:
            continue
        rows, steps, start = tested.rows, np.stack(tested.steps), np.stack(tested.start)
        truth, is_own = dataset.mean[rows], own[rows]
        group = pd.factorize(np.array([dataset.perturbations[row] for row in rows], object))[0] % _GROUPS
        shares, taken = cross_fitted(steps.transpose(0, 2, 1), truth - start, ~is_own * 1.0, group)
        corrected = start + taken
        control = np.stack([dataset.matched_control(dataset.conditions[row]) for row in rows])
        found[kind], widths[kind] = shares, calibrate(truth - corrected, corrected - control, is_own)
    follows = untested if dataset.system.is_stationary else LAW_ALONE
    later = found.get("later", np.array(follows.later))
    late = found.get("late", later)
    if "seen" not in found:
        found["seen"] = np.append(late[:2], untested.between if between is None else between())
    inner = found["seen"]
    compose = found.get("parts", np.array([untested.parts[0], inner[0], *untested.parts[1:]]))
    return Shares(carry_over=np.stack([inner, late, later]), compose=compose, widths=widths)


def seen_of(dataset: Dataset, residual: Means) -> Seen:
    """What a data set harvested, with residuals."""
    has_pool = dataset.system.is_stationary and dataset.is_stationary_control.any()
    return Seen(conditions=dataset.conditions, residual=residual, pool=dataset.control_mean() if has_pool else None)


def linear_effects(dataset: Dataset) -> LinearEffects | None:
    """What edits did in all conditions of a data set that carry them; ``None`` without unedited cells to compare with."""
    if not dataset.is_control.any():
        return None
    return LinearEffects(seen_of(dataset, changes_of(dataset)), dataset.genes)


def changes_of(dataset: Dataset) -> Means:
    """Changes of all conditions against matched controls."""
    return dataset.mean - np.stack([dataset.matched_control(condition) for condition in dataset.conditions])


def shrunk(dataset: Dataset, residual: Means) -> Means:
    r"""Residuals of edited conditions as far as they stand out, beyond those of unedited cells, from measurement noise.

    Empirical Bayes: with :math:`d` the residual beyond that of matched unedited cells, :math:`s` its standard error and
    :math:`\tau^2` the mean of :math:`d^2 - s^2` over edited conditions, or 0 if that is negative, each gene keeps the share
    :math:`k = \tau^2 / (\tau^2 + s^2)` of its :math:`d`, and of the rest as much as residuals of all genes stand out together,
    :math:`K = 1 - \overline{s^2} / \overline{d^2}` (James & Stein 1961): misfits of laws are few and large. Residuals of
    unedited cells, which are many, are kept as they are.
    """
    edited = np.flatnonzero(~dataset.is_control)
    if not len(edited):
        return residual
    noise = dataset.known_variance
    base, variance = np.zeros_like(residual), noise.copy()
    for row in edited:
        controls = dataset.control_rows(dataset.conditions[row])
        if len(controls):
            share = dataset.n_cells[controls] / dataset.n_cells[controls].sum()
            base[row] = share @ residual[controls]
            variance[row] += share**2 @ noise[controls]
    beyond, variance = (residual - base)[edited], variance[edited]
    misfit = np.maximum((beyond**2 - variance).mean(axis=0), 0.0)
    kept = np.divide(misfit, misfit + variance, out=np.ones_like(variance), where=misfit + variance > 0)
    together = max(1.0 - float(variance.mean()) / max(float((beyond**2).mean()), 1e-300), 0.0)
    found = residual.copy()
    found[edited] = base[edited] + (kept + (1.0 - kept) * together) * beyond
    return found


def _collect(
    kinds: dict[str, _Tested],
    dataset: Dataset,
    out: Bool[np.ndarray, " condition"],
    means: Means,
    ask: Callable[[Sequence[Condition]], Means],
) -> None:
    """Add what one run said of the conditions that it had not seen."""
    kept = np.flatnonzero(~out)
    trained = dataset.subset(kept)
    seen = seen_of(trained, shrunk(trained, (dataset.mean - means)[kept]))
    linear = linear_effects(trained)
    measured = seen_of(trained, changes_of(trained))
    held = [(int(row), dataset.conditions[row]) for row in np.flatnonzero(out)]
    known = [(row, condition) for row, condition in held if seen.knows(condition)]
    changes = {row: linear.change(c) for row, c in held if not seen.knows(c)} if linear else {}
    terms = {
        row: found
        for row, c in held
        if not seen.knows(c) and (found := seen.told_terms(c, changes.get(row))) is not None
    }
    controls = [merged(condition, without_edits) for _, condition in known]
    before = [seen.last(condition) for _, condition in known]
    asked = [*controls, *before, *(part for found in terms.values() for _, part in found)]
    by_law = ask(asked) if asked else np.zeros((0, len(dataset.genes)))
    by_then = by_law[len(known) :]
    for number, ((row, condition), control) in enumerate(zip(known, controls, strict=True)):
        base = seen.unedited(control, by_law[number])
        steps = [base, seen.residual_of(condition) - base]
        if seen.is_beyond(condition):
            kinds["later" if seen.is_newest(condition) else "late"].add(
                row, means[row], [*steps, by_then[number] - means[row]]
            )
        else:
            line = by_law[number] + base + measured.residual_of(condition) - means[row] - sum(steps)
            kinds["seen"].add(row, means[row], [*steps, np.zeros_like(line) if seen.is_before(condition) else line])
    used = 2 * len(known)
    for row, found in terms.items():
        made = seen.composition(found, by_law[used : used + len(found)], changes.get(row))
        used += len(found)
        kinds["parts"].add(row, made.additive, made.steps(means[row]))
