"""fit: from a data set to a FittedModel, by inner validation, an ensemble and calibrated intervals."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path

import jax
import numpy as np
import pandas as pd
from jaxtyping import Float

from semimech._errors import ConfigError, DataError
from semimech._files import replacing
from semimech.data import Dataset
from semimech.experiment import Condition
from semimech.fit.calibrate import calibrate
from semimech.fit.candidates import Candidate, run_weights
from semimech.fit.config import FitConfig, format_config
from semimech.fit.fitted import FittedModel, prediction_solver
from semimech.fit.problem import Problem, check_strength, edited_genes, make_problem, make_roster
from semimech.fit.record import Fit, Record, Result
from semimech.fit.select import Selection, select
from semimech.fit.start import initial_model
from semimech.fit.train import TERMS, Program, Progress, Training, TrainState, predict_members
from semimech.model import ExponentialSolver, PriorNetwork, ScaleGrid


def fit(
    dataset: Dataset,
    config: FitConfig | None = None,
    *,
    prior: PriorNetwork | None = None,
    targets: Sequence[str] = (),
    checkpoint: str | Path | None = None,
    progress: Progress | None = None,
) -> FittedModel:
    """Fit a model to a data set.

    Parameters
    ----------
    dataset
        Training conditions.
    config
        Settings; the defaults if not given.
    prior
        Known wiring.
    targets
        Genes that queries may edit although they are neither measured nor edited in training; such an edit is
        predicted by what all edits share.
    checkpoint
        Folder where the fit keeps its state; a fit interrupted there goes on from it.
    progress
        Called with a label, steps done and steps in all.

    Raises
    ------
    DataError
        If there is nothing to fit.
    ConfigError
        If the steady-state loss asked for is not allowed here, or the checkpoint is of another fit.
    """
    config = FitConfig() if config is None else config
    if len(dataset.conditions) < 2:
        raise DataError(f"{dataset.name}: {len(dataset.conditions)} conditions; a fit needs at least two")
    if config.steady_state != "auto":
        check_strength(dataset, config.steady_state)
    roster = make_roster(dataset)
    extra = {t for t in targets if t not in roster.regulators}
    roster = replace(roster, targets=tuple(sorted({*roster.targets, *extra})))
    problem = make_problem(dataset, roster, prior, data_loss=config.data_loss, seed=config.seed)
    scale = ScaleGrid(
        state=dataset.scale.state_grid.astype(np.float32), observed=dataset.scale.observed_grid.astype(np.float32)
    )
    folder = None if checkpoint is None else Path(checkpoint)
    if folder is not None:
        _claim(folder, config, problem, scale)
    select_key, fit_key, start_key = jax.random.split(jax.random.key(config.seed), 3)
    start = initial_model(
        roster,
        problem.unit,
        scale,
        config,
        is_start_known=problem.is_start_known,
        relative_start=problem.start,
        headroom=problem.headroom,
        key=start_key,
    )
    solver = ExponentialSolver(config.max_step_hours)
    training = Training(
        problem=problem, roster=roster, start=start, solver=solver, checkpoint=folder, progress=progress
    )
    selection = select(dataset, training, config, key=select_key)
    chosen = selection.chosen
    program = Program(strength=chosen.strength, n_factors=chosen.n_factors, config=config)
    rows = [*_reweighted_edits(dataset, config), ~_last_time(dataset)]
    turns = [*islice(cycle(selection.averaged), config.n_members), chosen]
    runs = [run_weights(c, config, np.asarray(row, np.float32), problem) for c, row in zip(turns, rows, strict=True)]
    keys = list(jax.random.split(fit_key, len(runs)))
    state = training.run(program, runs, keys, n_steps=config.n_steps, label="final fit")
    models = training.models(state)
    predicted = np.asarray(predict_members(models, problem.plan, prediction_solver(config)), np.float64)
    predicted = predicted[:, : len(dataset.conditions)]
    members = jax.tree.map(lambda leaf: leaf[: config.n_members], state)
    numbers = _numbers(dataset, training, selection, members, predicted)
    record = Record(
        config=config,
        chosen=chosen,
        selection=selection.table,
        history=_history(members),
        dataset=dataset.name,
        fingerprint=dataset.fingerprint,
        notes=_notes(dataset, config, chosen),
    )
    result = Result(
        fit=numbers,
        roster=roster,
        system=dataset.system,
        var_names=dataset.var_names or dataset.genes,
        training=dataset.conditions,
        record=record,
    )
    return FittedModel(result)


def _claim(folder: Path, config: FitConfig, problem: Problem, scale: ScaleGrid) -> None:
    """Mark a checkpoint folder as this fit's, or refuse one that is another's."""
    digest = hashlib.sha256(repr([stage.hours for stage in problem.plan.stages]).encode())
    for leaf in jax.tree.leaves((problem, scale)):
        digest.update(np.ascontiguousarray(leaf).tobytes())
    mark = f"{format_config(config)}\n# data and wiring {digest.hexdigest()}\n"
    file = folder / "fit.toml"
    if file.exists():
        if file.read_text() != mark:
            raise ConfigError(f"{folder}: holds a fit of other data or settings; choose another folder or remove it")
        for unfinished in folder.glob(".*.npz"):  # of a process that was killed while it wrote
            unfinished.unlink(missing_ok=True)
        return
    with replacing(file) as temporary:
        temporary.write_text(mark)


def _reweighted_edits(dataset: Dataset, config: FitConfig) -> list[Float[np.ndarray, " condition"]]:
    """Weights of conditions for each member: a Bayesian bootstrap over edits (Rubin 1981), halved to keep every edit."""
    generator = np.random.default_rng(config.seed)
    edits = {edits: i for i, edits in enumerate(dict.fromkeys(c.edits for c in dataset.conditions))}
    rows = []
    for _ in range(config.n_members):
        weight = 0.5 + 0.5 * generator.exponential(size=len(edits))
        rows.append(np.array([weight[edits[c.edits]] for c in dataset.conditions]))
    return rows


def _last_time(dataset: Dataset) -> np.ndarray:
    """Edited conditions at their last time, where the same edits were harvested before."""
    first = {c.edits: c.hours for c in sorted(dataset.conditions, key=_hours, reverse=True)}
    last = {c.edits: c.hours for c in sorted(dataset.conditions, key=_hours)}
    return np.array([bool(c.edits) and first[c.edits] < c.hours == last[c.edits] for c in dataset.conditions])


def _hours(condition: Condition) -> float:
    return condition.hours


def _numbers(
    dataset: Dataset,
    training: Training,
    selection: Selection,
    members: TrainState,
    predicted: Float[np.ndarray, "run condition gene"],
) -> Fit:
    """Residuals, carry-over and calibrations; the last run held out the last time of each edit."""
    own = edited_genes(dataset)
    control = np.stack([dataset.matched_control(c) for c in dataset.conditions])
    residual = dataset.mean - predicted[:-1].mean(axis=0)
    change = selection.held_out - control
    is_unseen = np.isfinite(selection.held_out).all(axis=1)
    fitted = calibrate(residual, dataset.mean - residual - control, own)
    unseen = calibrate(dataset.mean - selection.held_out, change, own) if is_unseen.any() else fitted
    is_last, seen, carry_over = _last_time(dataset), fitted, 0.0
    if is_last.any():
        later = np.flatnonzero(is_last)
        earlier = [_previous(dataset, int(row)) for row in later]
        held_out = dataset.mean - predicted[-1]
        before, after = held_out[earlier], held_out[later]
        carry_over = float(np.clip((before * after).sum() / max((before**2).sum(), 1e-12), 0.0, 1.0))
        seen = calibrate(after - carry_over * before, (dataset.mean - held_out - control)[later], own[later])
    return Fit(
        members=training.models(members),
        control=dataset.control_mean().astype(np.float32),
        residual=residual.astype(np.float32),
        carry_over=np.array(carry_over, np.float32),
        trust=np.array(selection.trust, np.float32),
        unseen=unseen,
        seen=seen,
    )


def _previous(dataset: Dataset, row: int) -> int:
    """The row of the same edits at the time before."""
    condition = dataset.conditions[row]
    rows = [r for r, c in enumerate(dataset.conditions) if c.edits == condition.edits and c.hours < condition.hours]
    return max(rows, key=lambda r: dataset.conditions[r].hours)


def _history(members: TrainState) -> pd.DataFrame:
    history = np.asarray(members.history)
    n_members, n_steps, _ = history.shape
    index = pd.MultiIndex.from_product([range(n_members), range(n_steps), TERMS], names=["run", "step", "term"])
    return pd.Series(history.ravel(), index=index, name="value").reset_index()


def _notes(dataset: Dataset, config: FitConfig, chosen: Candidate) -> tuple[str, ...]:
    """Why the steady-state loss is what it is, in words."""
    movement = dataset.system.movement
    if movement:
        return (f"{movement[0].upper()}{movement[1:]}: no steady-state loss is used.",)
    if not dataset.is_stationary_control.any():
        return ("There are no unedited cells in the maintenance medium, so no steady-state loss can be used.",)
    if config.steady_state == "none":
        return ("No steady-state loss was asked for.",)
    if config.steady_state == "auto" and dataset.control_moments is None:
        return ("Control cells come without counts, so their covariance is unknown and 'moment' was not tried.",)
    if chosen.strength == "none":
        return ("Inner validation found no gain in a steady-state loss on this data set, so none is used.",)
    return (
        f"Inner validation chose the steady-state loss '{chosen.strength}' with weight {chosen.weight:g}"
        + (f" and {chosen.n_factors} slow latent factors." if chosen.n_factors else "."),
    )
