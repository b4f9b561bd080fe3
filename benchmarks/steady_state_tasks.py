"""The tasks of the steady-state study: a data set, what is held out of it, and the arms that it can tell apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import jax
import numpy as np

from benchmarks import sets
from benchmarks.sets_dream4 import robust_wild_type
from benchmarks.steady_state_arms import MECHANISTIC, NEURAL, Arm, Workshop, arms
from benchmarks.steady_state_series import with_series
from semimech.data import Dataset, Split
from semimech.experiment import Condition
from semimech.simulate import STUDY_KINDS, prior_network, simulate_study, study_world

BULK = ("none", "weight decay", "point")
UMI = 5000.0
LEAN: Mapping[str, Any] = {
    "n_members": 2,
    "n_steps": 150,
    "validation_steps": 75,
    "checkpoint_every": 75,
    "sparsities": (0.03, 0.3),
}
FAST: Mapping[str, Any] = {"half_life_hours": 0.2, "max_step_hours": 0.2}
_FEW_SEEDS = 3
_FIRST_WORLD = 10  # worlds 0 to 9 were looked at while settings were chosen


@dataclass(frozen=True, kw_only=True)
class Task:
    """One data set with one draw of what is held out.

    Parameters
    ----------
    group
        Rows of the result that are averaged together.
    seed
        Decides the world or the folds, and all randomness of the fits.
    dataset
        All conditions; those not trained on hold what predictions are scored against.
    splits
        What is held out.
    arms
        Learned methods.
    workshop
        Fits them.
    """

    group: str
    seed: int
    dataset: Dataset
    splits: tuple[Split, ...]
    arms: tuple[Arm, ...]
    workshop: Workshop


@dataclass(frozen=True, kw_only=True)
class Plan:
    """When a task is due, and how to make it.

    Parameters
    ----------
    name
        Name of its file.
    make
        Reads or simulates the data; called when its turn comes.
    """

    name: str
    make: Callable[[], Task] = field(repr=False)


def plans(*, n_seeds: int, settings: Mapping[str, Any]) -> Iterator[Plan]:
    """All tasks, one round of seeds after the other, so that what is finished at any time is balanced.

    Parameters
    ----------
    n_seeds
        Rounds; sets that cost most stop earlier.
    settings
        Settings of every fit.
    """
    root = sets.shared_data()
    for seed in range(n_seeds):
        for kind in STUDY_KINDS:
            world = _FIRST_WORLD + seed
            make = partial(simulated, kind, world, settings, all_arms=seed < _FEW_SEEDS)
            yield Plan(name=f"simulated-{kind}-{world}", make=make)
        if root is None:
            continue
        for network in (1, 2, 3):
            yield Plan(name=f"dream4-10-{network}-{seed}", make=partial(dream4, root, 10, network, seed, settings))
        yield Plan(name=f"renge-{seed}", make=partial(renge, root, seed, settings))
        for line in ("BT20", "MCF7", "in silico"):
            yield Plan(name=f"hpn-{line}-{seed}", make=partial(hpn, root, line, seed, settings))
        yield Plan(name=f"dream4-100-{seed}", make=partial(dream4, root, 100, seed % 3 + 1, seed, settings))


def simulated(kind: str, seed: int, settings: Mapping[str, Any], *, all_arms: bool) -> Task:
    """A new world and a new screen of it; predictions are scored against its noise-free truth."""
    world_key, data_key, prior_key = jax.random.split(jax.random.key(1000 * STUDY_KINDS.index(kind) + seed), 3)
    study = simulate_study(study_world(kind, key=world_key), umi=UMI, key=data_key)
    chosen = [
        *arms(NEURAL, (*BULK, "moment")),
        *arms(MECHANISTIC, (*BULK, "moment", "auto", "default")),
        *arms(MECHANISTIC, ("none", "moment", "default"), wiring="mask"),
    ]
    if all_arms:
        chosen += [*arms(NEURAL, ("mean",)), *arms(MECHANISTIC, ("mean",))]
        chosen += arms(MECHANISTIC, ("none", "moment"), wiring="soft")
    train_cells = study.dataset.subset(study.train).cells
    workshop = Workshop(
        settings={**settings, "max_step_hours": 24.0},
        prior=prior_network(study.world, key=prior_key),
        cells=lambda train: train_cells,
    )
    splits = (
        Split(name="unseen_edit", train=study.train, test=study.unseen_edit, seed=seed),
        Split(name="unseen_combination", train=study.train, test=study.unseen_combination, seed=seed),
    )
    dataset = replace(study.scored, cells=None, name=f"simulated, {kind} {seed}")
    return Task(
        group=f"simulated, {kind}", seed=seed, dataset=dataset, splits=splits, arms=tuple(chosen), workshop=workshop
    )


def dream4(root: Path, size: int, network: int, seed: int, settings: Mapping[str, Any]) -> Task:
    """A fifth of the knock-outs held out with the knock-downs of the same genes; five seeds hold out each once."""
    case = _dream4(root, size, network)
    dataset = with_series(case, root)
    genes = np.array(case.dataset.genes)
    order = np.random.default_rng([size, network, seed // 5]).permutation(len(genes))
    held_out = tuple(genes[order[seed % 5 :: 5]].tolist())
    is_held = np.isin(dataset.perturbations, held_out)
    is_knockout = np.array([any(e.kind == "knockout" for e in c.edits) for c in dataset.conditions])
    test = np.flatnonzero(is_held & is_knockout)
    split = Split(name="unseen_edit", train=np.flatnonzero(~is_held), test=test, held_out=held_out, seed=seed)
    is_settled = np.isinf(dataset.hours)
    mean = dataset.mean.copy()
    mean[dataset.is_stationary_control] = robust_wild_type(dataset.subset(is_settled & ~is_held), case.unedited)
    conditions = tuple(without_transcription(c) for c in dataset.conditions)
    chosen = [
        *arms(NEURAL, BULK),
        *arms(MECHANISTIC, (*BULK, "default")),
        *arms(MECHANISTIC, ("none", "point", "default"), wiring="mask"),
    ]
    if size == 10:
        chosen += arms(MECHANISTIC, ("none",), wiring="soft")
    rng = np.random.default_rng([size, network])
    return Task(
        group=f"DREAM4 size {size}",
        seed=seed,
        dataset=replace(dataset, mean=mean, conditions=conditions),
        splits=(split,),
        arms=tuple(chosen),
        workshop=Workshop(
            settings={**settings, **LEAN} if size == 100 else settings,
            prior=sets.noisy_prior(case.gold, case.dataset.genes, rng=rng),
            is_narrow=size == 100,
        ),
    )


def hpn(root: Path, line: str, seed: int, settings: Mapping[str, Any]) -> Task:
    """A fifth of the pairs of inhibitor and ligand held out at all times; and, another fit, one of the times."""
    case = sets.read_hpn_insilico(root) if line == "in silico" else sets.read_hpn(root, line)
    pair_split = replace(sets.pair_folds(case, seed=seed // 5)[seed % 5], fold=0, seed=seed)
    times = sets.time_folds(case)
    return Task(
        group=f"HPN {line}",
        seed=seed,
        dataset=case.dataset,
        splits=(pair_split, replace(times[seed % len(times)], seed=seed)),
        arms=(*arms(NEURAL, BULK), *arms(MECHANISTIC, (*BULK, "mean", "default"))),
        workshop=Workshop(settings={**settings, **LEAN, **FAST}, is_narrow=True),
    )


def renge(root: Path, seed: int, settings: Mapping[str, Any]) -> Task:
    """One knock-out held out on all days; strengths are asked for too, and refused."""
    dataset = _renge(root)
    folds = sets.edit_folds(dataset)
    fold = folds[seed % len(folds)]
    prior = sets.read_chip_prior(root, dataset.genes)[["source", "target"]]
    return Task(
        group="RENGE",
        seed=seed,
        dataset=replace(dataset, cells=None),
        splits=(replace(fold, seed=seed),),
        arms=(
            *arms(NEURAL, (*BULK, "moment")),
            *arms(MECHANISTIC, (*BULK, "moment", "default")),
            *arms(MECHANISTIC, ("none",), wiring="soft"),
        ),
        workshop=Workshop(settings={**settings, "max_step_hours": 24.0}, prior=prior),
    )


@cache
def _dream4(root: Path, size: int, network: int) -> sets.Dream4:
    return sets.read_dream4(root, size, network)


@cache
def _renge(root: Path) -> Dataset:
    return sets.read_renge(root)


def without_transcription(condition: Condition) -> Condition:
    """A DREAM4 knock-out as what it is: transcription set to zero."""
    periods = []
    for period in condition.history:
        edits = tuple(
            replace(e, kind="crispri", efficacy=1.0) if e.kind == "knockout" else e for e in period.context.edits
        )
        periods.append(replace(period, context=replace(period.context, edits=edits)))
    return Condition(history=tuple(periods))
