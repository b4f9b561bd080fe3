"""A saved model: a folder of settings, arrays and tables that a later version can read without unpickling."""

from __future__ import annotations

import importlib.metadata
import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from semimech._errors import ConfigError, SemimechError
from semimech._files import replacing
from semimech.assumptions import ASSUMPTIONS
from semimech.assumptions.diagnostics import Finding
from semimech.data import CellSystem
from semimech.experiment import Compound, as_experiment, read_experiments, write_experiments
from semimech.fit.archive import read_leaves, write_leaves
from semimech.fit.calibrate import Calibration
from semimech.fit.candidates import Candidate
from semimech.fit.config import FitConfig, format_config, read_config
from semimech.fit.donors import Lent
from semimech.fit.record import Fit, Record, Result
from semimech.fit.start import initial_model
from semimech.model import CellModel, Edges, Pieces, Programmes, Roster, ScaleGrid, rewired, wiring

FORMAT = 7
_PACKAGES = ("semimech", "jax", "jaxlib", "equinox", "diffrax", "optax", "numpy", "scipy", "pandas", "anndata")


def package_versions() -> dict[str, str]:
    """Versions of the packages that a result depends on."""
    return {name: importlib.metadata.version(name) for name in _PACKAGES}


def write_result(result: Result, network: pd.DataFrame, directory: Path) -> None:
    """Write a fitted model as a folder.

    Parameters
    ----------
    result
        What the fit found.
    network
        Edges, for people to read.
    directory
        The folder; a model that is there already is replaced.

    Raises
    ------
    ConfigError
        If the place cannot be written to, or holds something that is not a model.
    """
    check_place(directory)
    with replacing(directory) as temporary:
        if temporary.exists():
            shutil.rmtree(temporary)
        temporary.mkdir()
        try:
            _write_parts(result, network, temporary)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        if directory.exists():
            shutil.rmtree(directory)


def check_place(directory: Path) -> None:
    """Check that a model may be written to a place: there is nothing, an empty folder, or another model.

    Raises
    ------
    ConfigError
        If it holds something that is not a model.
    """
    if directory.exists() and (not directory.is_dir() or (any(directory.iterdir()) and not is_model(directory))):
        raise ConfigError(f"{directory}: is there and is not a saved model; name another place")


def read_result(directory: Path) -> Result:
    """Read what `write_result` wrote.

    Raises
    ------
    ConfigError
        If the folder is not a saved model, is damaged, or was written by a later version.
    """
    if not is_model(directory):
        raise ConfigError(f"{directory}: not a saved model (no model.json); name the folder that 'semimech fit' wrote")
    try:
        about = json.loads((directory / "model.json").read_text())
        if about["format"] > FORMAT:
            raise ConfigError(
                f"{directory}: format {about['format']} is newer than this version reads ({FORMAT}); upgrade"
            )
        if about["format"] < FORMAT:
            raise ConfigError(f"{directory}: format {about['format']} is of an unreleased version; fit again")
        config = read_config(directory / "settings.toml")
        roster = Roster(**{key: tuple(value) for key, value in about["roster"].items()})
        training = tuple(
            condition for e in read_experiments(directory / "experiments.tsv") for condition in e.conditions.values()
        )
        system = _system(about["system"])
        record = Record(
            config=config,
            chosen=Candidate(**about["chosen"] | {"tables": tuple(about["chosen"].get("tables", ()))}),
            selection=pd.read_csv(directory / "selection.tsv", sep="\t"),
            history=pd.read_csv(directory / "history.tsv", sep="\t"),
            dataset=about["dataset"],
            fingerprint=about["fingerprint"],
            likeness=pd.read_csv(directory / "likeness.tsv", sep="\t"),
            notes=tuple(about["notes"]),
            findings=tuple(_finding(each) for each in about.get("findings", ())),
        )
        var_names = tuple(about["var_names"])
        fit = read_leaves(directory / "arrays.npz", _empty_fit(about, roster, config, len(training)))
    except ConfigError:
        raise
    except (SemimechError, AttributeError, KeyError, TypeError, ValueError, OSError) as error:
        raise ConfigError(f"{directory}: damaged ({error!r}); fit again") from None
    training = tuple(system.resolve(condition) for condition in training)
    return Result(
        fit=fit,
        roster=roster,
        system=system,
        var_names=var_names,
        training=training,
        record=record,
        kin=tuple(about["kin"]),
    )


def is_model(directory: str | Path) -> bool:
    """Whether a folder holds a saved model."""
    return (Path(directory) / "model.json").is_file()


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """A finding as JSON has it: without what is not a number."""
    return {name: value for name, value in row.items() if value == value}


def _finding(about: dict[str, Any]) -> Finding:
    by_id = {assumption.id: assumption for assumption in ASSUMPTIONS}
    return Finding(**about | {"assumption": by_id[about["assumption"]]})


def _system(about: dict[str, Any]) -> CellSystem:
    compounds = [Compound(**each | {"targets": tuple(each["targets"])}) for each in about.get("compounds", ())]
    names = {key: tuple(about.get(key, ())) for key in ("genes", "media")}
    return CellSystem(**about | names | {"compounds": tuple(compounds)})


def _write_parts(result: Result, network: pd.DataFrame, folder: Path) -> None:
    record = result.record
    about = {
        "format": FORMAT,
        "roster": {"genes": result.roster.genes, "targets": result.roster.targets, "media": result.roster.media},
        "var_names": result.var_names,
        "system": asdict(result.system),
        "chosen": asdict(record.chosen),
        "dataset": record.dataset,
        "fingerprint": record.fingerprint,
        "notes": record.notes,
        "findings": [_plain(finding.row()) for finding in record.findings],
        "is_start_known": isinstance(result.fit.members.log_initial, np.ndarray),
        "kin": result.kin,
        "lent": {name: len(getattr(result.fit.lent, name)) for name in ("row", "own", "response", "hours")},
        "network": _network_sizes(result.fit.members),
        "known_edges": result.fit.edges.shape[1],
        "scale_grid": len(result.fit.members.scale.state),
        "versions": package_versions(),
    }
    (folder / "settings.toml").write_text(format_config(record.config))
    write_experiments(
        [
            as_experiment(condition, id=f"condition {row}", maintenance_medium=result.system.maintenance_medium)
            for row, condition in enumerate(result.training)
        ],
        folder / "experiments.tsv",
    )
    record.selection.to_csv(folder / "selection.tsv", sep="\t", index=False)
    record.history.to_csv(folder / "history.tsv", sep="\t", index=False)
    record.likeness.to_csv(folder / "likeness.tsv", sep="\t", index=False)
    network.to_csv(folder / "network.tsv", sep="\t", index=False)
    write_leaves(folder / "arrays.npz", result.fit)
    (folder / "model.json").write_text(json.dumps(about, indent=1))


def _empty_fit(about: dict[str, Any], roster: Roster, config: FitConfig, n_training: int) -> Fit:
    """A fit of the right structure and shapes, to read arrays into."""
    n_genes = len(roster.genes)
    gene, number = np.zeros(n_genes, np.float32), np.zeros((), np.float32)
    grid = np.zeros(about["scale_grid"], np.float32)
    scale = ScaleGrid(state=grid, observed=grid)
    start = initial_model(roster, gene, scale, config, is_start_known=about["is_start_known"], key=jax.random.key(0))
    start = _with_network(start, about.get("network"), len(roster.regulators))
    stacked = jax.tree.map(
        lambda leaf: jnp.stack([leaf] * config.n_members) if isinstance(leaf, jax.Array) else leaf, start
    )
    calibration = Calibration(gene=gene, slope=number, doubt=number, own=number, factor=number)
    return Fit(
        members=stacked,
        control=gene,
        residual=np.zeros((n_training, n_genes), np.float32),
        missed=gene,
        carry_over=np.zeros((3, 3), np.float32),
        change=np.zeros((n_training, n_genes), np.float32),
        compose=np.zeros(4, np.float32),
        trust=np.zeros(6, np.float32),
        lent=_empty_lent(about),
        edges=np.zeros((2, about["known_edges"]), np.int32),
        seen=calibration,
        late=calibration,
        later=calibration,
        parts=calibration,
        unseen=calibration,
    )


def _network_sizes(members: CellModel) -> dict[str, Any] | None:
    """Sizes of a network that is no full matrix."""
    mechanism = wiring(members.dynamics)
    if mechanism is None or mechanism.edges is None:
        return None
    rows = {side: getattr(mechanism.edges, side).edge.shape for side in ("by_gene", "by_regulator")}
    programmes = 0 if mechanism.programmes is None else mechanism.programmes.writing.shape[-1]
    return {"edges": len(mechanism.edges.gene), "programmes": programmes, **rows}


def _with_network(start: CellModel, sizes: dict[str, Any] | None, n_regulators: int) -> CellModel:
    """The model with a network of such sizes, to read arrays into."""
    mechanism = wiring(start.dynamics)
    if sizes is None or mechanism is None:
        return start
    edge, n_genes, programmes = np.zeros(sizes["edges"], np.int32), len(mechanism.bias), None
    rows = [
        Pieces(
            owner=np.zeros(sizes[side][0], np.int32),
            edge=np.zeros(sizes[side], np.int32),
            other=np.zeros(sizes[side], np.int32),
            place=edge,
            n_owners=n,
        )
        for side, n in (("by_gene", n_genes), ("by_regulator", n_regulators))
    ]
    if sizes["programmes"]:
        reading = jnp.zeros((n_regulators, sizes["programmes"]))
        programmes = Programmes(reading=reading, writing=jnp.zeros((n_genes, sizes["programmes"])))
    edges = Edges(gene=edge, regulator=edge, by_gene=rows[0], by_regulator=rows[1])
    return rewired(start, replace(mechanism, weight=jnp.zeros(len(edge)), edges=edges, programmes=programmes))


def _empty_lent(about: dict[str, Any]) -> Lent:
    n, n_genes = about["lent"], len(about["roster"]["genes"])
    return Lent(
        row=np.zeros(n["row"], int),
        likeness=np.zeros((len(about["kin"]), n["own"]), np.float32),
        own=np.zeros(n["own"], np.float32),
        response=np.zeros((n["response"], n_genes), np.float32),
        hours=np.zeros(n["hours"], np.float32),
        amplitude=np.zeros((2, n["hours"]), np.float32),
    )
