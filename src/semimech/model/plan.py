"""Conditions compiled to arrays: each distinct course of cells once, on one grid of times."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import equinox as eqx
import numpy as np
from jaxtyping import Bool, Float, Int

from semimech._errors import ExperimentError
from semimech.experiment import Condition, Context, Period, effective_history


@dataclass(frozen=True, kw_only=True)
class Roster:
    """The names that give arrays their meaning.

    Parameters
    ----------
    genes
        Measured genes.
    targets
        Edited genes that are not measured; they act as regulators of constant abundance.
    media
        Media other than the maintenance medium.
    """

    genes: tuple[str, ...]
    targets: tuple[str, ...] = ()
    media: tuple[str, ...] = ()

    @property
    def regulators(self) -> tuple[str, ...]:
        """Measured genes, then unmeasured targets."""
        return (*self.genes, *self.targets)


class ContextArrays(eqx.Module):
    """Contexts as numbers; leading axes are free.

    Parameters
    ----------
    activity
        Remaining activity of each regulator's product, 1 without an edit.
    production
        Factor on production by CRISPRi and CRISPRa, 1 without an edit.
    knocked
        Efficacy of a knockout of each gene, whose own transcript changes by a factor to be learned.
    medium
        One where the medium is used; all zero is the maintenance medium.
    n_edits
        Sum of efficacies.
    """

    activity: Float[np.ndarray, "... regulator"]
    production: Float[np.ndarray, "... gene"]
    knocked: Float[np.ndarray, "... gene"]
    medium: Float[np.ndarray, "... medium"]
    n_edits: Float[np.ndarray, "... 1"]


_ROUND_COURSES = 8
_ROUND_ROWS = 64


class Stage(eqx.Module):
    """Courses that run side by side from time zero, or from the settled end of a course of the stage before.

    Parameters
    ----------
    start
        Course of the previous stage whose settled state each course starts from; -1 is the initial state.
    hours
        Grid of times, starting at zero.
    contexts
        Context of each course in each interval of the grid, and after its end.
    condition
        Rows of the result that are read from this stage; padding goes to the last row.
    course, time
        Where each of them is read.
    is_settled
        Whether it is read after settling in the last context.
    needs_settling
        Whether any course of this stage settles; static.
    """

    start: Int[np.ndarray, " course"]
    hours: tuple[float, ...] = eqx.field(static=True)
    contexts: ContextArrays
    condition: Int[np.ndarray, " read"]
    course: Int[np.ndarray, " read"]
    time: Int[np.ndarray, " read"]
    is_settled: Bool[np.ndarray, " read"]
    needs_settling: bool = eqx.field(static=True)


class Plan(eqx.Module):
    """All stages needed for a list of conditions, in order.

    Numbers of courses and rows are rounded up, with copies that nobody reads, so that plans of similar
    size share one compiled program.

    Parameters
    ----------
    stages
        What to integrate, first stage first.
    n_rows
        Rows of the result: the conditions, then padding.
    """

    stages: tuple[Stage, ...]
    n_rows: int = eqx.field(static=True)


def context_arrays(contexts: Sequence[Context], roster: Roster) -> ContextArrays:
    """Encode contexts, one row each.

    An edited gene that the roster does not hold enters through ``n_edits`` only.

    Raises
    ------
    ExperimentError
        If a compound is dosed and no edit says what it does.
    """
    unresolved = sorted({name for context in contexts for name in context.unresolved})
    if unresolved:
        raise ExperimentError(f"doses of {', '.join(unresolved)} are not resolved: call resolve_doses first")
    regulator = {name: i for i, name in enumerate(roster.regulators)}
    medium = {name: i for i, name in enumerate(roster.media)}
    n, n_genes = len(contexts), len(roster.genes)
    activity = np.ones((n, len(regulator)), np.float32)
    production = np.ones((n, n_genes), np.float32)
    knocked = np.zeros((n, n_genes), np.float32)
    media = np.zeros((n, len(medium)), np.float32)
    n_edits = np.zeros((n, 1), np.float32)
    for row, context in enumerate(contexts):
        if context.medium is not None:
            media[row, medium[context.medium]] = 1.0
        for edit in context.edits:
            n_edits[row] += edit.efficacy
            column = regulator.get(edit.gene)
            if column is None:
                continue
            is_measured = column < n_genes
            match edit.kind:
                case "knockout" | "drug":
                    activity[row, column] *= 1.0 - edit.efficacy
                    if edit.kind == "knockout" and is_measured:
                        knocked[row, column] = edit.efficacy
                case "crispri" if is_measured:
                    production[row, column] *= 1.0 - edit.efficacy
                case "crispra" if is_measured:
                    production[row, column] *= 1.0 + edit.efficacy
                case "crispri":
                    activity[row, column] *= 1.0 - edit.efficacy
                case "crispra":
                    activity[row, column] *= 1.0 + edit.efficacy
    return ContextArrays(activity=activity, production=production, knocked=knocked, medium=media, n_edits=n_edits)


def make_plan(conditions: Sequence[Condition], roster: Roster, *, times: Sequence[float] = ()) -> Plan:
    """Compile conditions, delayed edits as their staircase; courses that share their beginning are integrated once.

    Parameters
    ----------
    conditions
        Histories of cells at their harvests.
    roster
        Names of genes, targets and media.
    times
        Hours, counted in each stage, that are on the grid in any case, up to the last that is asked: predictions at usual times
        then hardly depend on what else is asked, and share one compiled program.
    """
    splits = [_split_at_settling(effective_history(condition)) for condition in conditions]
    stages: list[Stage] = []
    settled_courses: dict[tuple[tuple[Period, ...], ...], int] = {}
    depth = 0
    while True:
        rows = [r for r, parts in enumerate(splits) if len(parts) > depth]
        if not rows:
            break
        stage, settled_courses = _make_stage(depth, rows, splits, settled_courses, roster, times)
        stages.append(stage)
        depth += 1
    return Plan(stages=tuple(stages), n_rows=_rounded(len(conditions) + 1, _ROUND_ROWS))


def harvest_times(conditions: Sequence[Condition]) -> tuple[float, ...]:
    """Finite hours at which conditions were harvested, each once."""
    return tuple(sorted({c.hours for c in conditions if math.isfinite(c.hours)}))


def _rounded(n: int, to: int) -> int:
    return -(-n // to) * to


def _padded(values: np.ndarray, n: int, fill: int | bool) -> np.ndarray:
    return np.concatenate([values, np.full(n - len(values), fill, values.dtype)])


def _split_at_settling(history: tuple[Period, ...]) -> list[tuple[Period, ...]]:
    """Cut a history after each period of infinite duration."""
    parts: list[list[Period]] = [[]]
    for number, period in enumerate(history):
        parts[-1].append(period)
        if math.isinf(period.hours) and number < len(history) - 1:
            parts.append([])
    return [tuple(part) for part in parts]


def _make_stage(
    depth: int,
    rows: list[int],
    splits: list[list[tuple[Period, ...]]],
    previous: dict[tuple[tuple[Period, ...], ...], int],
    roster: Roster,
    times: Sequence[float],
) -> tuple[Stage, dict[tuple[tuple[Period, ...], ...], int]]:
    """One stage from the parts of histories at this depth, and the course of each part that settles."""
    keys = [(tuple(splits[r][:depth]), splits[r][depth]) for r in rows]
    finite = {key: (0.0, *_boundaries(key[1]))[-1] for key in keys}
    courses: list[tuple[tuple[tuple[Period, ...], ...], tuple[Period, ...]]] = []
    prefix: dict[tuple, tuple[int, float]] = {}
    place: dict[tuple, int] = {}
    for key in sorted(finite, key=lambda k: (-any(math.isinf(p.hours) for p in k[1]), -finite[k])):
        before, part = key
        last = part[-1]
        found = prefix.get((before, part[:-1], last.context))
        if found is not None and last.hours <= found[1] and math.isfinite(last.hours):
            place[key] = found[0]
            continue
        place[key] = len(courses)
        for i, period in enumerate(part):
            entry = (before, part[:i], period.context)
            if period.hours > prefix.get(entry, (-1, -1.0))[1]:
                prefix[entry] = (len(courses), period.hours)
        courses.append(key)
    asked = {0.0, *(t for key in set(keys) for t in _boundaries(key[1]))}
    grid = sorted({*asked, *(float(t) for t in times if 0.0 < t < max(asked))})
    n_courses = _rounded(len(courses), _ROUND_COURSES)
    padding = [((), (Period(context=Context(), hours=0.0),))] * (n_courses - len(courses))
    flat = context_arrays([_context_at(part, t) for t in grid for _, part in [*courses, *padding]], roster)
    shape = (len(grid), n_courses)
    read = [i for i, r in enumerate(rows) if len(splits[r]) == depth + 1]
    n_read = _rounded(len(read), _ROUND_ROWS)
    stage = Stage(
        start=_padded(np.array([previous[b] if b else -1 for b, _ in courses], dtype=int), n_courses, -1),
        hours=tuple(grid),
        contexts=ContextArrays(**{k: v.reshape(*shape, -1) for k, v in vars(flat).items()}),
        condition=_padded(
            np.array([rows[i] for i in read], dtype=int), n_read, _rounded(len(splits) + 1, _ROUND_ROWS) - 1
        ),
        course=_padded(np.array([place[keys[i]] for i in read], dtype=int), n_read, 0),
        time=_padded(np.array([grid.index(finite[keys[i]]) for i in read], dtype=int), n_read, 0),
        is_settled=_padded(np.array([math.isinf(keys[i][1][-1].hours) for i in read], dtype=bool), n_read, False),
        needs_settling=any(math.isinf(p.hours) for _, part in courses for p in part),
    )
    settled = {(*key[0], key[1]): place[key] for key in set(keys) if math.isinf(key[1][-1].hours)}
    return stage, settled


def _boundaries(part: tuple[Period, ...]) -> list[float]:
    """End of each finite period, summed from the first so that equal histories give equal floats."""
    ends, now = [], 0.0
    for period in part:
        if math.isfinite(period.hours):
            now += period.hours
            ends.append(now)
    return ends


def _context_at(part: tuple[Period, ...], hours: float) -> Context:
    """The context from this moment on."""
    end = 0.0
    for period in part:
        end += period.hours
        if hours < end:
            return period.context
    return part[-1].context
