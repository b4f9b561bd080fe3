"""Many fits: settings × seeds × held-out sets, one file of scores each, in this process or as tasks of a Dask cluster."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
import pandas as pd

from semimech._errors import ConfigError
from semimech._files import replacing
from semimech.data import Dataset, Split
from semimech.data.split import check_leakage
from semimech.evaluate.benchmark import Method, run_benchmark
from semimech.evaluate.ceiling import CEILING
from semimech.fit import FitConfig, fit, format_config
from semimech.fit.known import digest_of_known
from semimech.model import Kinship, PriorNetwork

if TYPE_CHECKING:
    from distributed import Client

RETRIES = 2
"""How often a fit is tried again that an error ended which is none of ours; one whose worker died is tried again besides."""
MOST_MAPS = 20_000
"""Pieces of memory above which compiled programs are forgotten: each fit compiles some, and Linux lets a process map 65,530."""


@dataclass(frozen=True, kw_only=True)
class Known:
    """What all fits of a sweep have in common.

    Parameters
    ----------
    dataset
        The whole data set.
    prior, kinship
        Known wiring, and tables of genes that act alike.
    """

    dataset: Dataset
    prior: PriorNetwork | None = None
    kinship: Kinship | None = None


@dataclass(frozen=True, kw_only=True)
class Job:
    """One fit, and what is asked of it.

    Parameters
    ----------
    arm
        Name of the settings.
    config
        The settings, with their seed.
    splits
        Held-out sets with the same training rows.
    """

    arm: str
    config: FitConfig
    splits: tuple[Split, ...]

    def name(self, known: Known) -> str:
        """Name of the file of its scores: the same only for the same data, tables, settings and held-out sets."""
        whole = hashlib.sha256(known.dataset.fingerprint.encode())
        whole.update(digest_of_known(known.prior, known.kinship).encode())
        whole.update(format_config(self.config).encode())
        for split in self.splits:
            whole.update(repr((split.name, split.fold, split.train.tolist(), split.test.tolist())).encode())
        words = [self.arm, f"seed {self.config.seed}", self.splits[0].name, str(self.splits[0].fold)]
        return f"{re.sub(r'[^0-9A-Za-z]+', '-', ' '.join(words))}-{whole.hexdigest()[:12]}.parquet"


def sweep(
    known: Known,
    arms: Mapping[str, FitConfig],
    splits: Mapping[int, Sequence[Split]],
    folder: str | Path,
    *,
    client: Client | None = None,
    say: Callable[[str], None] | None = None,
) -> pd.DataFrame:
    """Fit each of some settings to each training set, and score what is held out.

    The scores of each fit are written as it ends, whole or not at all; a sweep that was interrupted does only the fits that are
    missing, and one with more settings, seeds or folds only those that are new.

    Parameters
    ----------
    known
        Data, and what is known beside them.
    arms
        Settings by name; their seed is that of the splits.
    splits
        Held-out sets for each seed, see `semimech.data.joint_splits`; those with the same training rows share a fit.
    folder
        Where each fit's file of scores stands.
    client
        A Dask cluster whose workers fit; by default this process does, one fit after the other. A fit runs on one core; its worker
        keeps compiled programs where this process does. Fits of a worker that died are given to another.
    say
        Called with a line of text after each fit.

    Returns
    -------
    pandas.DataFrame
        Scores as of `semimech.evaluate.run_benchmark`, arms as predictors, in the order of arms, seeds and splits.

    Raises
    ------
    ConfigError
        If there are no arms, or the folder cannot be written to.
    DataError
        If a split leaks; nothing is fitted then.
    """
    jobs = _jobs(arms, splits)
    if not jobs:
        raise ConfigError("sweep: no fits: name settings and held-out sets")
    for split in (split for job in jobs for split in job.splits):
        check_leakage(known.dataset, split)
    paths = [Path(folder) / job.name(known) for job in jobs]
    left = [i for i, path in enumerate(paths) if not path.exists()]
    results = _here(known, jobs, left) if client is None else _on(client, known, jobs, left)
    for done, (i, scores) in enumerate(results, len(jobs) - len(left) + 1):
        with replacing(paths[i]) as temporary:
            scores.to_parquet(temporary, index=False)
        if say is not None:
            say(f"{done} of {len(jobs)} fits: {paths[i].stem}")
    scores = pd.concat([pd.read_parquet(path) for path in paths], ignore_index=True)
    # Each fit's file has the ceiling of the conditions that it was asked.
    is_again = scores["predictor"].eq(CEILING) & scores.duplicated()
    return scores[~is_again].reset_index(drop=True)


def fit_and_score(known: Known, job: Job) -> pd.DataFrame:
    """The scores of one fit."""
    targets = {e.gene for c in known.dataset.conditions for p in c.history for e in p.context.edits}

    def fit_arm(train: Dataset, seed: int) -> Any:
        return fit(train, job.config, prior=known.prior, kinship=known.kinship, targets=tuple(sorted(targets)))

    method = Method(name=job.arm, fit=fit_arm)
    scores = run_benchmark([method], known.dataset, job.splits, seed=job.config.seed).scores
    if _n_maps() > MOST_MAPS:
        jax.clear_caches()
    return scores


def _jobs(arms: Mapping[str, FitConfig], splits: Mapping[int, Sequence[Split]]) -> list[Job]:
    jobs = []
    for arm, config in arms.items():
        for seed, held in splits.items():
            shared: dict[bytes, list[Split]] = {}
            for split in held:
                shared.setdefault(np.sort(split.train).tobytes(), []).append(split)
            jobs += [Job(arm=arm, config=replace(config, seed=seed), splits=tuple(same)) for same in shared.values()]
    return jobs


def _here(known: Known, jobs: Sequence[Job], left: Sequence[int]) -> Iterator[tuple[int, pd.DataFrame]]:
    for i in left:
        yield i, fit_and_score(known, jobs[i])


def _on(client: Client, known: Known, jobs: Sequence[Job], left: Sequence[int]) -> Iterator[tuple[int, pd.DataFrame]]:
    from distributed import as_completed

    if not left:
        return
    shared = client.scatter(known, broadcast=True, hash=False)
    cache = {name: getattr(jax.config, name) for name in _CACHE}
    tasks = {client.submit(_fit_on_worker, shared, jobs[i], cache, retries=RETRIES, pure=False): i for i in left}
    try:
        for task in as_completed(list(tasks), loop=client.loop):
            yield tasks[task], task.result()
            task.release()
    finally:
        client.cancel(list(tasks), reason="the sweep is over")


def _n_maps() -> int:
    """Pieces of memory that this process has mapped, where the system tells."""
    try:
        return Path("/proc/self/maps").read_bytes().count(b"\n")
    except OSError:
        return 0


_CACHE = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")


def _fit_on_worker(known: Known, job: Job, cache: Mapping[str, Any]) -> pd.DataFrame:
    """A fit in a worker of its own core, that looks for compiled programs where the others do."""
    # It counts as long as nothing was computed yet in this process.
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")
    for name, value in cache.items():
        jax.config.update(name, value)
    return fit_and_score(known, job)
