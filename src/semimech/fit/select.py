"""Inner validation: which steady-state loss and sparsity predict edits that were held out of the training conditions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import jax
import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int, PRNGKeyArray

from semimech.data import Dataset
from semimech.fit.candidates import (
    Candidate,
    each_at_its_best,
    first_candidates,
    law_credit,
    run_weights,
    steady_state_candidates,
    steady_state_neighbours,
    table_candidates,
)
from semimech.fit.config import FitConfig
from semimech.fit.held_out import seen_of
from semimech.fit.members import predict_members
from semimech.fit.pooling import ANY_EDIT, LAW_ALONE, MEASURED, SHARES, THE_LAW, Nested, anonymous, find_trust, unedited
from semimech.fit.problem import edited_genes
from semimech.fit.train import Program, Training
from semimech.model import make_plan

_TIE = 0.02


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What inner validation found.

    Parameters
    ----------
    chosen
        The best candidate.
    averaged
        The best candidate and those of its steady-state loss that cannot be told from it, best first: members of the
        ensemble take turns among them.
    table
        Candidates with their held-out error relative to no change, its standard error over folds, and which was chosen.
    held_out
        Predictions of each training condition while its edits were held out, averaged over ``averaged`` and pooled;
        NaN for conditions that were never held out.
    trust
        How far an unseen edit's prediction goes from the law's unedited cells to the measured ones, from "no edit" to "an edit
        of an unknown gene", from there to its own, and how much of each borrowed step is added: 0 nothing, 1 all.
    """

    chosen: Candidate
    averaged: tuple[Candidate, ...]
    table: pd.DataFrame
    held_out: Float[np.ndarray, "condition gene"]
    trust: Float[np.ndarray, 6]


def edit_folds(dataset: Dataset, n_folds: int, *, seed: int) -> list[Bool[np.ndarray, " condition"]]:
    """Conditions to hold out in each fold: all that carry, or carried, one of the fold's genes.

    With fewer than two edited genes, times are held out instead, the last first; with neither, nothing is.
    """
    carried = [{edit.gene for period in c.history for edit in period.context.edits} for c in dataset.conditions]
    genes = sorted(set().union(*carried))
    if len(genes) >= 2:
        order = np.random.default_rng(seed).permutation(len(genes))
        parts = [{genes[i] for i in order[k::n_folds]} for k in range(min(n_folds, len(genes)))]
        return [np.array([not genes.isdisjoint(part) for genes in carried]) for part in parts]
    times = np.unique(dataset.hours[np.isfinite(dataset.hours)])[1:][::-1][:n_folds]
    return [dataset.hours == time for time in times]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Outcome:
    """What one candidate, or the average of some, said of conditions while their edits were held out.

    After pooling, with shares ``trust`` of the steps of ``nested``: the predictions, and their error in each fold relative to no change.
    """

    candidate: Candidate
    nested: Nested
    errors: Float[np.ndarray, " fold"]
    held_out: Float[np.ndarray, "condition gene"]
    trust: Float[np.ndarray, 6]


@dataclass(frozen=True, kw_only=True)
class _Trial:
    """Where candidates are tried: the data, compiled, what is held out of them, and what that would have borrowed."""

    dataset: Dataset
    training: Training
    config: FitConfig
    folds: Sequence[Bool[np.ndarray, " condition"]]
    borrowed: Float[np.ndarray, "condition gene 3"]

    @property
    def _stands_on_edits(self) -> bool:
        return bool(self.borrowed[..., 0].any()) and not self.dataset.is_control.any()

    def outcome(self, candidate: Candidate, nested: Nested) -> _Outcome:
        """Pool held-out predictions, and score them by fold, relative to no change."""
        dataset, own = self.dataset, edited_genes(self.dataset)
        weight = np.asarray(self.training.problem.weight)[: len(own)] * (~own & ~dataset.is_control[:, None])
        trust, pooled = LAW_ALONE, nested.specific
        if self.config.pooling == "validated":
            anchor = MEASURED if dataset.is_control.any() or self._stands_on_edits else ANY_EDIT
            credit = law_credit(candidate, self.config, self.training.problem)
            found = find_trust(nested, dataset.mean, weight, _numbers_of_edits(dataset), anchor=anchor, credit=credit)
            is_lent = np.abs(self.borrowed).max(axis=(0, 1)) > 0.0
            trust, pooled = np.append(found.trust[:3], np.where(is_lent, found.trust[3:], 0.0)), found.held_out
            trust[3] = 1.0 if self._stands_on_edits else trust[3]
        pooled = np.where(own, nested.specific + trust[0] * nested.steps[..., 0], pooled)
        control = np.stack([dataset.matched_control(c) for c in dataset.conditions])
        unchanged = weight * (control - dataset.mean) ** 2
        no_change = max(float(np.mean([unchanged[fold].sum() for fold in self.folds])), 1e-12)
        squared = weight * (pooled - dataset.mean) ** 2
        errors = np.array([np.nan_to_num(squared[fold].sum() / no_change, nan=np.inf) for fold in self.folds])
        return _Outcome(candidate=candidate, nested=nested, errors=errors, held_out=pooled, trust=trust)

    def validate(self, candidates: Sequence[Candidate], *, key: PRNGKeyArray, what: str = "") -> list[_Outcome]:
        """Fit candidates of one program in every fold, and score what they say of the fold; ``what`` tells sets of runs apart."""
        n, training, folds = len(self.dataset.conditions), self.training, self.folds
        runs = [
            run_weights(c, self.config, (~fold).astype(np.float32), training.problem)
            for c in candidates
            for fold in folds
        ]
        program = Program(strength=candidates[0].strength, config=self.config)
        label = f"inner validation, {what or program.strength}"
        keys = list(jax.random.split(key, len(folds))) * len(candidates)
        models = training.models(training.run(program, runs, keys, n_steps=self.config.validation_steps, label=label))
        shape = (len(candidates), len(folds), n, len(self.dataset.genes))
        conditions = self.dataset.conditions
        asked = [*map(unedited, conditions), *map(anonymous, conditions), *conditions]
        found = predict_members(models, make_plan(asked, training.roster), training.solver).astype(np.float64)
        predictions = [found[:, start : start + n].reshape(shape) for start in (0, n, 2 * n)]
        outcomes = []
        for i, candidate in enumerate(candidates):
            levels = [_nothing(self.dataset) for _ in predictions]
            for k, fold in enumerate(folds):
                for level, prediction in zip(levels, predictions, strict=True):
                    level[fold] = prediction[i, k, fold]
            nested = Nested(
                unedited=levels[0],
                control=self._control(levels[0]),
                shared=levels[1],
                specific=levels[2],
                borrowed=self.borrowed,
            )
            outcomes.append(self.outcome(candidate, self._on_edits(nested)))
        return outcomes

    def _on_edits(self, nested: Nested) -> Nested:
        """Without unedited cells the law's level began at the mean of all edits, held out or not: that of others takes its place."""
        if not self._stands_on_edits:
            return nested
        shift = self.dataset.control_mean() + self.borrowed[..., 0] - nested.unedited
        moved = nested.moved(np.where(edited_genes(self.dataset), 0.0, shift))
        return replace(moved, borrowed=self.borrowed * [0.0, 1.0, 1.0])

    def _control(self, by_law: Float[np.ndarray, "condition gene"]) -> Float[np.ndarray, "condition gene"]:
        """Matched controls of what was held out, where there are any; no stand-ins from other media, as in predictions (`Seen.unedited`)."""
        data, seen = self.dataset, seen_of(self.dataset, np.zeros_like(self.dataset.mean))
        matched = [
            data.matched_control(c) if seen.has_unedited(c) else law
            for c, law in zip(data.conditions, by_law, strict=True)
        ]
        return np.where(np.isfinite(by_law), np.stack(matched), np.nan)

    def selection(self, outcomes: Sequence[_Outcome], eligible: Sequence[_Outcome]) -> Selection:
        """The winner of those eligible, what is as good as it, and the table of all."""
        averaged = _as_good(eligible)[: self.config.n_members]
        best = averaged[0]
        together = self.outcome(best.candidate, Nested.mean([o.nested for o in averaged]))
        return Selection(
            chosen=best.candidate,
            averaged=tuple(o.candidate for o in averaged),
            table=_table(outcomes, averaged),
            held_out=together.held_out,
            trust=together.trust,
        )


def _numbers_of_edits(dataset: Dataset) -> Int[np.ndarray, " condition"]:
    """One number for all conditions of the same edits; for those of one time where there is but one."""
    edits = np.array(dataset.perturbations, object)
    return pd.factorize(edits if len(set(edits[~dataset.is_control])) > 1 else dataset.hours)[0]


def select(
    dataset: Dataset,
    training: Training,
    config: FitConfig,
    *,
    folds: Sequence[Bool[np.ndarray, " condition"]],
    borrowed: Float[np.ndarray, "condition gene 3"],
    counts: tuple[float, ...] = (),
    key: PRNGKeyArray,
) -> Selection:
    """Choose among candidates by their error on held-out training edits; a steady-state loss must lower it by more than a tie.

    Parameters
    ----------
    dataset
        Training conditions.
    training
        The compiled problem and how to run it.
    config
        Candidates and steps.
    folds
        What to hold out, from `edit_folds`.
    borrowed
        What each condition would borrow while it is held out, see `semimech.fit.borrow`.
    counts
        How often each table of known wiring counts; chosen if not given.
    key
        Randomness of the runs.

    Raises
    ------
    ConfigError
        If the steady-state loss asked for is not allowed here.
    """
    first = first_candidates(config, counts)
    middle = first[len(first) // 2]
    asked = steady_state_candidates(config, dataset, middle)  # a strength that is not allowed is refused before any fit
    if not folds:
        chosen = (asked or [middle])[0]
        blank = _nothing(dataset)
        nested = Nested(unedited=blank, control=blank, shared=blank, specific=blank, borrowed=borrowed)
        none = _Outcome(candidate=chosen, nested=nested, errors=np.full(1, np.nan), held_out=blank, trust=THE_LAW)
        return Selection(chosen=chosen, averaged=(chosen,), table=_table([none], [none]), held_out=blank, trust=THE_LAW)
    trial = _Trial(dataset=dataset, training=training, config=config, folds=folds, borrowed=borrowed)
    outcomes = trial.validate(first, key=key)
    best, n_tables = min(outcomes, key=_mean_error), 0 if counts else len(training.problem.known)
    if tried := table_candidates(config, n_tables, best.candidate):
        others = trial.validate(tried, key=key, what="tables of wiring")
        errors = [(o.candidate, _mean_error(o)) for o in (best, *others)]
        if both := each_at_its_best(errors, n_tables, best.candidate):
            others += trial.validate(both, key=key, what="tables together")
        outcomes += others
        best = min(outcomes, key=_mean_error)
    n_first = len(outcomes)
    if tried := steady_state_candidates(config, dataset, best.candidate):
        outcomes += trial.validate(tried, key=key)
        leader = min(outcomes[n_first:], key=_mean_error)
        if tried := steady_state_neighbours(config, leader.candidate):
            outcomes += trial.validate(tried, key=key, what="weight and factors")
    losses = outcomes[n_first:]
    eligible = losses
    if config.steady_state in ("auto", "none"):
        is_worth = losses and min(map(_mean_error, losses)) < (1.0 - _TIE) * _mean_error(best)
        eligible = outcomes if is_worth else outcomes[:n_first]
    return trial.selection(outcomes, eligible)


def _mean_error(outcome: _Outcome) -> float:
    return float(outcome.errors.mean())


def _as_good(outcomes: Sequence[_Outcome]) -> list[_Outcome]:
    """The best, and those of its program whose error cannot be told from its own: by one standard error over paired folds, or 2 %.

    Few folds tell a standard error badly, and picks among near ties are unstable: an average over them is not.
    """
    ranked = sorted(outcomes, key=_mean_error)
    best, found = ranked[0], [ranked[0]]
    for outcome in ranked[1:]:
        excess = outcome.errors - best.errors
        spread = excess.std(ddof=1) / np.sqrt(len(excess)) if len(excess) > 1 else 0.0
        if outcome.candidate.strength == best.candidate.strength and excess.mean() <= max(
            spread, _TIE * best.errors.mean()
        ):
            found.append(outcome)
    return found


def _table(outcomes: Sequence[_Outcome], averaged: Sequence[_Outcome]) -> pd.DataFrame:
    """All candidates with their errors; the best of those averaged is the chosen one."""
    table = pd.DataFrame([asdict(outcome.candidate) for outcome in outcomes]).drop(columns="tables")
    if any(outcome.candidate.tables for outcome in outcomes):
        table["tables"] = ["; ".join(f"{count:g}" for count in o.candidate.tables) or "1" for o in outcomes]
    for number, name in enumerate(SHARES):
        table[name] = [outcome.trust[number] for outcome in outcomes]
    table["error"] = [outcome.errors.mean() for outcome in outcomes]
    n = len(averaged[0].errors)
    table["standard_error"] = [o.errors.std(ddof=1) / np.sqrt(n) if n > 1 else np.nan for o in outcomes]
    table["averaged"] = [outcome in averaged for outcome in outcomes]
    table["chosen"] = [outcome is averaged[0] for outcome in outcomes]
    return table


def _nothing(dataset: Dataset) -> Float[np.ndarray, "condition gene"]:
    return np.full(dataset.mean.shape, np.nan)
