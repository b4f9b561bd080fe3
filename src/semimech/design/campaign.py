"""Campaign: rounds of edits, each chosen with what the rounds before it taught, replayed on a screen that was measured in full."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import tomli_w

from semimech._errors import ConfigError, DataError, raise_faults
from semimech._files import replacing
from semimech.data import Dataset
from semimech.design.strategies import STRATEGIES, Stand, pick, stream
from semimech.fit import FitConfig, FittedModel, fit
from semimech.fit.compose import names_of
from semimech.fit.config import format_config
from semimech.fit.known import digest_of_known
from semimech.fit.problem import edited_genes
from semimech.model import Kinship, PriorNetwork

STEP = ["seed", "strategy", "round", "n_edits", "perturbation", "error", "no_change"]
"""Columns of a campaign's errors."""
Progress: TypeAlias = Callable[[str, int, int], None]


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """How a campaign is run.

    Parameters
    ----------
    strategies
        What chooses, see `semimech.design.strategies`; all begin with the same edits.
    start
        Edits of the first round, drawn at random.
    batch
        Edits of every further round.
    rounds
        Rounds after the first.
    held_out
        Share of all edits that no round may make, on which every round is scored.
    seeds
        Campaigns: each draws its own held-out edits and its own start, and seeds its fits.
    warm
        Whether fits of later rounds begin where that of the first one ended (`semimech.fit.warm`): all of them from the same, so that no round depends
        on which ones were run before it in this process.
    combinations
        Whether combinations can be made, and are held out, as well; those of one name at several doses go together.

    Raises
    ------
    ConfigError
        Listing everything that cannot be run.
    """

    strategies: tuple[str, ...] = ("error", "random")
    start: int = 10
    batch: int = 10
    rounds: int = 3
    held_out: float = 0.25
    seeds: tuple[int, ...] = (0,)
    warm: bool = True
    combinations: bool = False

    def __post_init__(self) -> None:
        faults = [
            f"strategy {name!r} is unknown: take {', '.join(STRATEGIES)}"
            for name in self.strategies
            if name not in STRATEGIES
        ]
        faults += [f"{what} is empty: give at least one" for what in ("strategies", "seeds") if not getattr(self, what)]
        if self.start < 2:
            faults.append(
                f"start must be 2 or more, got {self.start}: a model is validated on edits that it did not see"
            )
        faults += [
            f"{name} must be 1 or more, got {getattr(self, name)}"
            for name in ("batch", "rounds")
            if getattr(self, name) < 1
        ]
        if not 0.0 < self.held_out < 1.0:
            faults.append(f"held_out must lie between 0 and 1, got {self.held_out:g}")
        raise_faults(ConfigError, "Campaign", faults)


def run_campaign(
    dataset: Dataset,
    campaign: Campaign,
    config: FitConfig,
    *,
    prior: PriorNetwork | None = None,
    kinship: Kinship | None = None,
    folder: Path | None = None,
    progress: Progress | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> pd.DataFrame:
    """Replay a campaign on a screen that was measured in full: the rounds see of it what they have made, and the controls.

    An edit is one label with one edited gene or compound; combinations are left out unless the campaign asks for them.

    Parameters
    ----------
    dataset
        The screen.
    campaign
        Strategies, sizes and seeds.
    config
        Settings of every fit; its seed is that of the campaign.
    prior, kinship
        What is known, for every fit.
    folder
        Where each round is kept when it is done; a campaign that was interrupted goes on from there.
    progress, say
        Receive the progress of fits, and a line per round.

    Returns
    -------
    pandas.DataFrame
        Columns ``seed, strategy, round, n_edits, perturbation, error, no_change``: squared error on each held-out edit without its own gene, and that of
        predicting no change.

    Raises
    ------
    DataError
        If there are too few edits or no controls.
    ConfigError
        If the folder holds another campaign.
    """
    edits = _edits(dataset, combinations=campaign.combinations)
    n_held = _n_held(campaign, len(edits))
    needed = n_held + campaign.start + campaign.batch * (campaign.rounds - 1) + 1
    if len(edits) < needed:
        raise DataError(
            f"{dataset.name}: {len(edits)} edits made alone, and the campaign needs {needed} "
            f"({n_held} held out, {campaign.start} to start with, {campaign.rounds} rounds of {campaign.batch}): lower one of them"
        )
    if not dataset.is_control.any():
        raise DataError(f"{dataset.name}: no unedited cells, which every round would have; name them as controls")
    known: dict[str, Any] = {"prior": prior, "kinship": kinship}
    if folder is not None:
        _claim(folder, dataset, campaign, config, known)
    rows: list[dict[str, object]] = []
    for seed in campaign.seeds:
        lab = _Lab(dataset, edits, campaign, replace(config, seed=seed), known, progress)
        unchanged = lab.no_change()
        for strategy in campaign.strategies:
            made = lab.start
            for number in range(campaign.rounds + 1):
                file = None if folder is None else folder / "rounds" / f"{strategy}-{seed}-{number}.json"
                done = _read(file)
                if done is None:
                    made = (*made, *lab.choice(strategy, made, number)) if number else made
                    done = {"made": made, "errors": lab.errors(made)}
                    _write(done, file)
                made, errors = tuple(done["made"]), done["errors"]
                where = {"seed": seed, "strategy": strategy, "round": number, "n_edits": len(made)}
                rows += [
                    where | {"perturbation": name, "error": errors[name], "no_change": unchanged[name]}
                    for name in lab.held
                ]
                share = sum(errors.values()) / sum(unchanged.values())
                say(f"seed {seed}, {strategy}, round {number}: {len(made)} edits, error {share:.3f} of no change")
    return pd.DataFrame(rows, columns=STEP)


class _Lab:
    """One campaign's screen: what is held out, what may be made, and models of what was made."""

    def __init__(
        self,
        dataset: Dataset,
        edits: Mapping[str, np.ndarray],
        campaign: Campaign,
        config: FitConfig,
        known: Mapping[str, Any],
        progress: Progress | None,
    ) -> None:
        order = [str(name) for name in np.random.default_rng(config.seed).permutation(list(edits))]
        n_held = _n_held(campaign, len(edits))
        self.held, self._rest = tuple(sorted(order[:n_held])), tuple(order[n_held:])
        self.start = self._rest[: campaign.start]
        self._dataset, self._edits, self._batch = dataset, edits, campaign.batch
        self._config, self._known, self._progress, self._warm = config, known, progress, campaign.warm
        self._models: dict[tuple[str, ...], FittedModel] = {}

    def made(self, names: tuple[str, ...]) -> Dataset:
        """Controls, and the conditions of some edits."""
        keep = self._dataset.is_control.copy()
        for name in names:
            keep[self._edits[name]] = True
        return self._dataset.subset(keep)

    def model(self, names: tuple[str, ...]) -> FittedModel:
        """The model of some edits; that of the start and the last one are kept."""
        if names not in self._models:
            self._models = {known: model for known, model in self._models.items() if known == self.start}
            targets = tuple(sorted({edit.gene for c in self._dataset.conditions for edit in c.edits}))
            first = self.model(self.start) if self._warm and names != self.start else None
            self._models[names] = fit(
                self.made(names), self._config, targets=targets, warm=first, progress=self._progress, **self._known
            )
        return self._models[names]

    def choice(self, strategy: str, names: tuple[str, ...], number: int) -> tuple[str, ...]:
        """What a strategy makes next."""
        made = self.made(names)
        error = made.standard_error[~made.is_control]
        stand = Stand(
            model=self.model(names),
            made=made,
            pool={
                name: [self._dataset.conditions[row] for row in self._edits[name]]
                for name in self._rest
                if name not in names
            },
            batch=self._batch,
            noise=float(np.nanmean(error**2)) if np.isfinite(error).any() else None,
            rng=stream(self._config.seed, strategy, number),
            asked=[
                max((self._dataset.conditions[r] for r in self._edits[n]), key=lambda c: c.hours) for n in self.held
            ],
            **self._known,
        )
        return pick(strategy, stand)

    def errors(self, names: tuple[str, ...]) -> dict[str, float]:
        """Squared error of a model's prediction of each held-out edit, without its own gene."""
        rows = np.concatenate([self._edits[name] for name in self.held])
        predicted = self.model(names).predict_conditions([self._dataset.conditions[row] for row in rows]).mean
        return self._squared(rows, predicted)

    def no_change(self) -> dict[str, float]:
        """The same of the matched controls."""
        rows = np.concatenate([self._edits[name] for name in self.held])
        controls = np.stack([self._dataset.matched_control(self._dataset.conditions[row]) for row in rows])
        return self._squared(rows, controls)

    def _squared(self, rows: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
        error = np.where(edited_genes(self._dataset)[rows], np.nan, (predicted - self._dataset.mean[rows]) ** 2)
        of_row = pd.Series(np.nanmean(error, axis=1), index=np.array(self._dataset.perturbations)[rows])
        return {str(name): float(value) for name, value in of_row.groupby(level=0).mean().items()}


def _edits(dataset: Dataset, *, combinations: bool) -> dict[str, np.ndarray]:
    """Rows of each edit that was made alone, and of each combination if these count."""
    found: dict[str, list[int]] = {}
    for row, (name, condition) in enumerate(zip(dataset.perturbations, dataset.conditions, strict=True)):
        if not condition.is_control and (combinations or len(names_of(condition)) == 1):
            found.setdefault(name, []).append(row)
    return {name: np.array(rows) for name, rows in found.items()}


def _n_held(campaign: Campaign, n_edits: int) -> int:
    return max(round(campaign.held_out * n_edits), 2)


def _claim(folder: Path, dataset: Dataset, campaign: Campaign, config: FitConfig, known: Mapping[str, Any]) -> None:
    """Mark a folder as this campaign's, or refuse one that is another's; more rounds, seeds and strategies go on from what is there."""
    same = {
        name: value
        for name, value in asdict(campaign).items()
        if name in ("start", "batch", "held_out", "warm", "combinations")
    }
    mark = {"data": dataset.fingerprint, "known": digest_of_known(known["prior"], known["kinship"]), **same}
    text = f"{tomli_w.dumps(mark)}\n[fit]\n{format_config(config)}"
    file = folder / "campaign.toml"
    if file.exists():
        if file.read_text(encoding="utf-8") != text:
            raise ConfigError(
                f"{folder}: holds a campaign of other data, sizes or settings; choose another folder or remove it"
            )
        return
    with replacing(file) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _read(file: Path | None) -> dict[str, Any] | None:
    """A round that is done."""
    if file is None or not file.exists():
        return None
    try:
        done: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return {"made": list(done["made"]), "errors": dict(done["errors"])}
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{file}: not a round of a campaign; remove it, and it is run again") from error


def _write(done: Mapping[str, Any], file: Path | None) -> None:
    if file is not None:
        with replacing(file) as temporary:
            temporary.write_text(json.dumps(done), encoding="utf-8")
