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
from semimech.assumptions import Assumption
from semimech.assumptions.catalogue import STATIONARY_CONTROLS
from semimech.assumptions.diagnostics import Finding, audit_training, violation_note
from semimech.data import Dataset
from semimech.data.edited_moments import moments_with_edited_cells
from semimech.fit.borrow import NO_SOURCES, borrowing_note, learn_borrowing
from semimech.fit.candidates import is_sparse, run_weights, steady_state_strength, with_mask
from semimech.fit.claims import model_assumptions
from semimech.fit.compose import names_of
from semimech.fit.config import FitConfig, format_config
from semimech.fit.counts import batch_notes
from semimech.fit.devices import check_devices
from semimech.fit.finish import finished_numbers, with_known_edges
from semimech.fit.first_guess import FirstGuess
from semimech.fit.fitted import FittedModel, prediction_solver
from semimech.fit.held_out import held_out_tests
from semimech.fit.notes import strength_notes, table_notes
from semimech.fit.problem import check_strength, data_weight, edited_genes, make_problem, make_roster
from semimech.fit.record import Record, Result
from semimech.fit.rest import restless, restless_notes
from semimech.fit.select import edit_folds, select
from semimech.fit.start import initial_model
from semimech.fit.train import TERMS, Program, Progress, Training, TrainState
from semimech.fit.warm import final_fit, narrowed, warm_starts
from semimech.model import (
    ExponentialSolver,
    Kinship,
    PriorNetwork,
    ScaleGrid,
    accurate_solver,
    coupled,
    sized,
    wiring,
)


def fit(
    dataset: Dataset,
    config: FitConfig | None = None,
    *,
    prior: PriorNetwork | None = None,
    kinship: Kinship | None = None,
    targets: Sequence[str] = (),
    warm: FittedModel | None = None,
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
    kinship
        Tables of genes that act alike: complexes, pathways, embeddings. Queries may edit any gene that stands in them or in the
        prior network; an unseen edit borrows from those that are like it.
    targets
        Genes that queries may edit although they are neither measured nor edited in training, nor in a table; such an edit is
        predicted by what all edits share.
    warm
        An earlier fit of the same genes and targets, to fewer data for instance: its steady-state loss and how often its tables count are not chosen
        again, and its members go on in half of the steps (`semimech.fit.warm`).
    checkpoint
        Folder where the fit keeps its state; a fit interrupted there goes on from it.
    progress
        Called with a label, steps done and steps in all.

    Raises
    ------
    DataError
        If there is nothing to fit.
    ConfigError
        If the steady-state loss asked for is not allowed here, there are fewer devices, the checkpoint is of another fit, or ``warm`` is of
        other genes or another law.
    """
    config = FitConfig() if config is None else config
    check_devices(config.devices)
    if len(dataset.conditions) < 2:
        raise DataError(f"{dataset.name}: {len(dataset.conditions)} conditions; a fit needs at least two")
    if config.steady_state != "auto":
        check_strength(dataset, config.steady_state)
    dataset = replace(dataset, control_moments=moments_with_edited_cells(dataset, seed=config.seed))
    roster = make_roster(dataset)
    extra = {t for t in targets if t not in roster.regulators}
    roster = replace(roster, targets=tuple(sorted({*roster.targets, *extra})))
    problem = make_problem(dataset, roster, prior, likelihood=config.likelihood, seed=config.seed)
    searched = with_mask(config, problem)
    searched = searched if warm is None else narrowed(searched, warm.record.chosen)
    scale = ScaleGrid(
        state=dataset.scale.state_grid.astype(np.float32), observed=dataset.scale.observed_grid.astype(np.float32)
    )
    folds = edit_folds(dataset, config.n_folds, seed=config.seed)
    lending, borrowed = None, np.zeros((*dataset.mean.shape, 3))
    if config.borrowing == "validated" and config.pooling == "validated":
        scored = data_weight(dataset) * (~edited_genes(dataset) & ~dataset.is_control[:, None])
        lending = learn_borrowing(dataset, folds, scored, prior=prior, kinship=kinship, seed=config.seed)
        borrowed = lending.steps
    counts = () if prior is None else prior.counts
    folder = None if checkpoint is None else Path(checkpoint)
    if warm is not None and not counts and len(warm.record.chosen.tables) == len(problem.known):
        counts = warm.record.chosen.tables
    if folder is not None:
        known = (problem, scale, borrowed, counts, None if warm is None else warm.fit.members)
        _claim(folder, config, known, [stage.hours for stage in problem.plan.stages])
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
    allowed, named = np.isfinite(problem.price), np.asarray(problem.known.any(axis=0))
    start = sized(start, allowed, named, key=start_key)
    mechanism = wiring(start.dynamics)
    is_guessed = mechanism is not None and mechanism.edges is None and not is_sparse(problem)
    solver = ExponentialSolver(config.max_step_hours)
    if config.integration_error:
        solver = accurate_solver(coupled(start, key=start_key), problem.plan, config.integration_error)
    training = Training(
        problem=problem,
        roster=roster,
        start=start,
        solver=solver,
        pull=steady_state_strength(searched, dataset),
        checkpoint=folder,
        progress=progress,
        guess=FirstGuess(dataset=dataset, roster=roster, able=allowed, unit=problem.unit) if is_guessed else None,
    )
    begin = [] if warm is None else warm_starts(warm, roster, start, config.n_members)
    selection = select(dataset, training, searched, folds=folds, borrowed=borrowed, counts=counts, key=select_key)
    chosen = selection.chosen
    program = Program(strength=chosen.strength, config=searched)
    tests = held_out_tests(dataset, has_composites=config.pooling == "validated", seed=config.seed)
    shown = [*_reweighted_edits(dataset, config), *(~rows for rows in tests)]
    turns = [*islice(cycle(selection.averaged), config.n_members), *([chosen] * len(tests))]
    runs = [run_weights(c, config, np.asarray(row, np.float32), problem) for c, row in zip(turns, shown, strict=True)]
    keys = list(jax.random.split(fit_key, len(runs)))
    state = final_fit(training, program, runs, keys, begin)
    numbers = finished_numbers(dataset, training, selection, tests, training.models(state), config)
    numbers = with_known_edges(numbers, dataset, roster, selection.held_out, folds, prior)
    if lending is not None:
        numbers = replace(numbers, lent=lending.lender.lent)
    members = jax.tree.map(lambda leaf: leaf[: config.n_members], state)
    likeness = NO_SOURCES if lending is None else lending.table
    findings = _findings(dataset, config, model_assumptions(config, chosen, likeness))
    record = Record(
        config=config,
        chosen=chosen,
        selection=selection.table,
        history=_history(members),
        likeness=likeness,
        dataset=dataset.name,
        fingerprint=dataset.fingerprint,
        notes=(
            *dataset.notes,
            *strength_notes(dataset, config, chosen),
            *batch_notes(dataset, problem.counts),
            *table_notes(prior, selection),
            *restless_notes(restless(numbers.members, problem, prediction_solver(config))),
            *(() if lending is None else (borrowing_note(lending.table, selection.trust),)),
            *(violation_note(finding) for finding in findings if finding.verdict == "fails"),
        ),
        findings=findings,
    )
    result = Result(
        fit=numbers,
        roster=roster,
        system=dataset.system,
        var_names=dataset.var_names or dataset.genes,
        training=dataset.conditions,
        record=record,
        kin=() if lending is None else lending.lender.kin,
    )
    return FittedModel(result)


def _claim(folder: Path, config: FitConfig, arrays: object, hours: Sequence[object]) -> None:
    """Mark a checkpoint folder as this fit's, or refuse one that is another's."""
    digest = hashlib.sha256(repr(list(hours)).encode())
    for leaf in jax.tree.leaves(arrays):
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
    edits = {edits: i for i, edits in enumerate(dict.fromkeys(tuple(names_of(c)) for c in dataset.conditions))}
    rows = []
    for _ in range(config.n_members):
        weight = 0.5 + 0.5 * generator.exponential(size=len(edits))
        rows.append(np.array([weight[edits[tuple(names_of(c))]] for c in dataset.conditions]))
    return rows


def _findings(dataset: Dataset, config: FitConfig, assumptions: Sequence[Assumption]) -> tuple[Finding, ...]:
    """What the data say of the model's assumptions, and of what is declared of unedited cells."""
    declared = (STATIONARY_CONTROLS,) if dataset.system.is_stationary else ()
    return audit_training(dataset, {*assumptions, *declared}, seed=config.seed)


def _history(members: TrainState) -> pd.DataFrame:
    history = np.asarray(members.history)
    n_members, n_steps, _ = history.shape
    index = pd.MultiIndex.from_product([range(n_members), range(n_steps), TERMS], names=["run", "step", "term"])
    return pd.Series(history.ravel(), index=index, name="value").reset_index()
