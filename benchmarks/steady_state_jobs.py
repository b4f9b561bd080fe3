"""Tasks of the steady-state study in several processes: arms that share no fit are fitted apart."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from typing import Any, NamedTuple

import jax
import pandas as pd

from benchmarks.steady_state_arms import Arm
from benchmarks.steady_state_scores import score_task
from benchmarks.steady_state_tasks import Plan, plans
from semimech.evaluate import baseline_methods

_TOGETHER = ("none", "moment", "auto")  # auto is the better one of the two others, and fits nothing of its own


class Part(NamedTuple):
    """Scores of some arms of a task, what they chose, and the seconds that took."""

    scores: pd.DataFrame
    chosen: pd.DataFrame
    seconds: float


def finished_tasks(
    due: Sequence[str], *, n_seeds: int, settings: Mapping[str, Any], n_jobs: int
) -> Iterator[tuple[str, Part]]:
    """Fit and score tasks, each given back when all of it is done.

    Parameters
    ----------
    due
        Names of the plans, in the order in which to begin them.
    n_seeds, settings
        As for `benchmarks.steady_state_tasks.plans`.
    n_jobs
        Processes.
    """
    by_name = {plan.name: plan for plan in plans(n_seeds=n_seeds, settings=settings)}
    with ProcessPoolExecutor(n_jobs, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        jobs: dict[Future[Part], str] = {}
        left: dict[str, int] = {}
        for name in due:
            groups = arms_apart(by_name[name].make().arms)
            left[name] = len(groups)
            for number, group in enumerate(groups):
                job = pool.submit(_part, name, n_seeds, settings, group, has_baselines=number == 0)
                jobs[job] = name
        parts: dict[str, list[Part]] = {name: [] for name in due}
        for job in as_completed(jobs):
            name = jobs[job]
            parts[name].append(job.result())
            if len(parts[name]) == left[name]:
                yield name, _joined(parts.pop(name))


def arms_apart(arms: Sequence[Arm]) -> list[list[Arm]]:
    """Arms in groups that share no fit."""
    groups: dict[tuple[str, str, str], list[Arm]] = {}
    for arm in arms:
        treatment = "together" if arm.treatment in _TOGETHER else arm.treatment
        groups.setdefault((arm.law, arm.wiring, treatment), []).append(arm)
    return list(groups.values())


def do_task(plan: Plan, *, treatments: Sequence[str] = ()) -> Part:
    """Fit and score all arms of one task in this process, and the baselines; or arms of some treatments alone."""
    start = time.monotonic()
    task = plan.make()
    arms = [arm for arm in task.arms if not treatments or arm.treatment in treatments]
    scores = score_task(task, arms, others=() if treatments else baseline_methods())
    jax.clear_caches()  # every set compiles its own programs, and a process may map only so many
    return Part(scores, task.workshop.chosen().assign(group=task.group), time.monotonic() - start)


def _part(name: str, n_seeds: int, settings: Mapping[str, Any], chosen: Sequence[Arm], *, has_baselines: bool) -> Part:
    start = time.monotonic()
    task = next(plan for plan in plans(n_seeds=n_seeds, settings=settings) if plan.name == name).make()
    scores = score_task(task, chosen, others=baseline_methods() if has_baselines else ())
    return Part(scores, task.workshop.chosen().assign(group=task.group), time.monotonic() - start)


def _joined(parts: Sequence[Part]) -> Part:
    scores, chosen = (
        pd.concat(tables, ignore_index=True) for tables in zip(*(part[:2] for part in parts), strict=True)
    )
    return Part(scores, chosen, sum(part.seconds for part in parts))
