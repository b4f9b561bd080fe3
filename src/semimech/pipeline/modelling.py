"""Fitting into a folder: the model, and checkpoints until it is done."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from semimech._errors import ConfigError
from semimech.data import Dataset
from semimech.experiment import Compound
from semimech.fit import FitConfig, FittedModel, check_place, fit, is_model, load
from semimech.fit.folder import read_result
from semimech.fit.train import Progress
from semimech.pipeline.source import Source, read_note, write_source


def fit_model(
    source: Source, dataset: Dataset, out: Path, config: FitConfig, *, resume: bool, progress: Progress | None
) -> FittedModel:
    """Fit a model and save it as ``out/model``; its checkpoints stand in ``out/checkpoint/fit``.

    Parameters
    ----------
    source
        Where the data set is from; noted in ``out/run.toml``.
    dataset
        Training conditions.
    out
        Folder for results.
    config
        Settings.
    resume
        Go on from checkpoints in ``out``; a finished model of the same data, tables and settings is taken as it is.
    progress
        Called with a label, steps done and steps in all.

    Raises
    ------
    ConfigError
        If ``out/model`` is something else, or there is a checkpoint of other data or settings to resume.
    """
    prior, kinship = source.network(), source.kinship()
    check_place(out / "model")
    if resume and (model := _finished_model(source, dataset, out, config)) is not None:
        return model
    if not resume:
        remove_checkpoints(out)
    checkpoint = out / "checkpoint" / "fit"
    model = fit(dataset, config, prior=prior, kinship=kinship, checkpoint=checkpoint, progress=progress)
    model.save(out / "model")
    write_source(source, out)
    return model


def load_model(folder: Path, *, compounds: Sequence[Compound] = ()) -> FittedModel:
    """The model in a folder, which may be asked about further compounds.

    Parameters
    ----------
    folder
        Folder of a fitted model, or of a run.
    compounds
        Compounds that it was not trained on; they act on genes that it knows.

    Raises
    ------
    ConfigError
        If there is no model, or it cannot be read.
    ExperimentError
        If the model knows a compound otherwise.
    """
    result = read_result(model_folder(folder))
    return FittedModel(replace(result, system=result.system.with_compounds(compounds)))


def _finished_model(source: Source, dataset: Dataset, out: Path, config: FitConfig) -> FittedModel | None:
    """The model in a folder, if it is of this data, these tables and settings."""
    before, now = read_note(out), source.note()
    if not is_model(out / "model") or any(before.get(k) != now.get(k) for k in ("prior", "complexes", "embeddings")):
        return None
    model = load(out / "model")
    is_same_data = model.record.fingerprint == dataset.fingerprint and model.system == dataset.system
    return model if is_same_data and model.record.config == config else None


def remove_checkpoints(out: Path) -> None:
    """Remove checkpoints of fits from a folder, and nothing else."""
    for mark in (out / "checkpoint").glob("*/fit.toml"):
        shutil.rmtree(mark.parent)
    with suppress(OSError):
        (out / "checkpoint").rmdir()


def model_folder(folder: Path) -> Path:
    """The model in a folder: the folder itself, or ``model`` in it.

    Raises
    ------
    ConfigError
        If there is none.
    """
    for place in (folder, folder / "model"):
        if is_model(place):
            return place
    raise ConfigError(f"{folder}: no fitted model here; name the --out folder of 'semimech run' or 'semimech fit'")
