"""HPN-DREAM8 phosphoprotein time courses: inhibitor × ligand × time, in two cell lines and in silico.

Hill et al. 2016 (doi:10.1038/nmeth.3773). Starved cells take an inhibitor or its vehicle, and then a ligand; PBS is
the mock ligand, so starvation is the maintenance medium and PBS leaves cells in it. One time-0 sample per inhibitor
serves all ligands.

* **Edits**: an inhibitor is a ``drug`` on the kinase it is made for. Kinases are not measured, only their sites are,
  and the sites are not read-outs of the drug: under GSK690693 the sites of AKT rise while those of its substrates
  fall. `INHIBITOR_TARGETS` therefore names the kinase, an unmeasured target; `MEASURED_TARGETS` names the sites, for
  models in which only measured nodes regulate. FGFR, the target of PD173074, has no measured site.
* **Scale**: values are positive, none is missing, and the noise is proportional; the observed scale is the natural
  logarithm.
* **Noise**: the cell lines have no replicates. The standard deviation of each protein is taken from the difference
  between each sample and its neighbours in time (`noise_from_curvature`), about 0.08 in the logarithm; true curvature
  adds to it, so it is an upper bound. In silico there are three replicates (0.085 each, for every node), but arms
  differ more than replicates do, so the noise is that of the 20 arms at time 0, all unedited: 0.06 for a mean of three.
* **Controls**: cells without inhibitor in PBS. Against time 0 they differ by 0.06 to 0.19 (root mean square,
  logarithm) in MCF7, which is noise, and by up to 0.31 after two and four hours in BT20, which is drift. In silico no
  cell stays unstimulated: the controls are the samples of time 0, where inhibited and uninhibited arms agree, so that
  all 60 are pooled and the inhibitor starts with the ligand.
* **Second moments**: none, as a lysate is one mean over cells: ``moment`` can use nothing here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd
from jaxtyping import Float

from benchmarks.sets_common import read_table
from semimech.data import CellSystem, Dataset, Split, log_scale
from semimech.experiment import Condition, Edit, Experiment, Harvest, SetMedia, Wait

NO_INHIBITOR = "none"
MOCK = "PBS"
STARVED = "starvation"

INHIBITOR_TARGETS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"GSK690693": ("AKT",), "GSK690693_GSK1120212": ("AKT", "MEK"), "PD173074": ("FGFR",)}
)
MEASURED_TARGETS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "GSK690693": ("AKT_pS473", "AKT_pT308"),
        "GSK690693_GSK1120212": ("AKT_pS473", "AKT_pT308", "MEK1_pS217_S221"),
        "PD173074": ("FGFR",),
    }
)


@dataclass(frozen=True, kw_only=True)
class Hpn:
    """One cell line of the challenge, rows sorted by inhibitor, ligand and time.

    Parameters
    ----------
    dataset
        One row per inhibitor, ligand and time, in the logarithm.
    inhibitor
        Inhibitor of each row, ``"none"`` without.
    ligand
        Ligand of each row, ``"PBS"`` in the maintenance medium.
    minutes
        Time since the ligand was added, in minutes.
    """

    dataset: Dataset
    inhibitor: tuple[str, ...]
    ligand: tuple[str, ...]
    minutes: Float[np.ndarray, " condition"]


def read_hpn(
    root: Path,
    cell_line: str,
    *,
    targets: Mapping[str, tuple[str, ...]] = INHIBITOR_TARGETS,
    hours_per_minute: float = 1 / 60,
    preincubation_minutes: float = 120.0,
) -> Hpn:
    """Read a cell line.

    Parameters
    ----------
    root
        Folder of the real data, which holds ``hpn_dream8``.
    cell_line
        ``"BT20"`` or ``"MCF7"``.
    targets
        Edited targets of each inhibitor.
    hours_per_minute
        Hours that one minute stands for. Half of a response is there after 5 minutes (3 to 45 over arms and
        proteins): 0.1 or 0.2 slows it to the pace
        of mRNA, where default rates and priors of a model are set.
    preincubation_minutes
        Time between inhibitor and ligand; the file does not tell it.

    Raises
    ------
    DataError
        If the file is missing or cannot be read.
    """
    table = read_table(root / "hpn_dream8" / f"MD-{cell_line}_main_for_null.csv", separator=",")
    inhibitors = [c for c in table if c.startswith("TR:") and c.endswith("i")]
    ligands = [c for c in table if c.startswith("TR:") and not c.endswith("i") and ":CellLine" not in c]
    keys = pd.DataFrame(
        {
            "inhibitor": _names(table, inhibitors).str.removesuffix("i").replace("", NO_INHIBITOR),
            "ligand": _names(table, ligands).where(table["DA:ALL"] > 0, MOCK),
            "minutes": table["DA:ALL"].astype(float),
        }
    )
    values = np.log(table[[c for c in table if c.startswith("DV:")]].rename(columns=lambda c: c.removeprefix("DV:")))
    mean = values.groupby([keys[c] for c in keys]).mean()
    deviation = noise_from_curvature(mean)
    protocols = [
        _condition(targets.get(i, ()), ligand, preincubation_minutes, minutes, hours_per_minute)
        for i, ligand, minutes in mean.index
    ]
    error = np.broadcast_to(deviation, mean.shape).copy()
    return _assemble(mean, protocols, error, np.ones(len(mean), dtype=int), name=f"hpn-{cell_line}")


def read_hpn_insilico(root: Path, *, hours_per_minute: float = 1 / 60) -> Hpn:
    """Read the in-silico set: three inhibitors of unnamed nodes, two ligands in two doses, alone and together.

    Parameters
    ----------
    root
        Folder of the real data, which holds ``hpn_dream8``.
    hours_per_minute
        Hours that one minute stands for, as in `read_hpn`.

    Raises
    ------
    DataError
        If the file is missing or cannot be read.
    """
    table = read_table(root / "hpn_dream8" / "MD_insilico.csv", separator=",")
    at_start = table["DA:ALL"] == 0
    inhibitor = _names(table, [c for c in table if c.endswith(":Inhibitors")]).replace("", NO_INHIBITOR)
    keys = pd.DataFrame(
        {
            "inhibitor": inhibitor.where(~at_start, NO_INHIBITOR),
            "ligand": _names(table, [c for c in table if c.endswith(":Stimuli")]).where(~at_start, MOCK),
            "minutes": table["DA:ALL"].astype(float),
        }
    )
    values = np.log(table[[c for c in table if c.startswith("DV:")]].rename(columns=lambda c: c.removeprefix("DV:")))
    groups = values.groupby([keys[c] for c in keys])
    mean, count = groups.mean(), groups.size().to_numpy()
    arms = values[at_start].groupby([table.loc[at_start, c] for c in table if c.startswith("TR:")])
    variance = arms.mean().to_numpy().var(axis=0, ddof=1).mean() * arms.size().to_numpy().mean()
    protocols = [
        _condition(() if i == NO_INHIBITOR else (i,), ligand, 0.0, minutes, hours_per_minute)
        for i, ligand, minutes in mean.index
    ]
    error = np.sqrt(variance / count)[:, None] * np.ones(mean.shape[1])
    return _assemble(mean, protocols, error, count, name="hpn-insilico")


def read_hpn_gold(root: Path) -> pd.DataFrame:
    """True edges of the in-silico network: columns ``source`` and ``target``, no signs.

    Rows of the file are sources: INH2 lowers AB1, AB2 and AB11 within ten minutes, which row AB2 lists as its
    targets, while the nodes that list AB2 in their rows do not move that soon.

    Raises
    ------
    DataError
        If the file is missing or cannot be read.
    """
    matrix = read_table(root / "hpn_dream8" / "insilico_TrueGraph.csv", separator=",", header=None).to_numpy(float)
    sources, targets = np.nonzero(np.nan_to_num(matrix))
    return pd.DataFrame({"source": [f"AB{s + 1}" for s in sources], "target": [f"AB{t + 1}" for t in targets]})


def pair_folds(case: Hpn, *, n_folds: int = 5, seed: int = 0) -> tuple[Split, ...]:
    """Hold out random pairs of inhibitor and ligand, each once, at all times; each of them alone is trained on."""
    key, is_pair = _arms(case)
    pairs = np.unique(key[is_pair])
    order = np.random.default_rng(seed).permutation(len(pairs))
    held_out = [tuple(pairs[order[fold::n_folds]].tolist()) for fold in range(n_folds)]
    return tuple(
        Split(
            name="unseen_edit_medium",
            train=np.flatnonzero(~np.isin(key, names)),
            test=np.flatnonzero(np.isin(key, names)),
            fold=fold,
            held_out=names,
            seed=seed,
        )
        for fold, names in enumerate(held_out)
    )


def combination_folds(case: Hpn) -> tuple[Split, ...]:
    """Hold out each inhibitor with each ligand, at all times; each of them alone is trained on."""
    key, is_pair = _arms(case)
    return tuple(
        Split(
            name="unseen_edit_medium",
            train=np.flatnonzero(key != name),
            test=np.flatnonzero(key == name),
            fold=fold,
            held_out=(name,),
        )
        for fold, name in enumerate(dict.fromkeys(key[is_pair].tolist()))
    )


def time_folds(case: Hpn) -> tuple[Split, ...]:
    """Hold out each time after the ligand, in all arms; fold 0 is the last time, an extrapolation.

    Controls of that time are in neither part: they are stationary by declaration, and telling.
    """
    is_asked = ~case.dataset.is_stationary_control
    return tuple(
        Split(
            name="unseen_time",
            train=np.flatnonzero(case.minutes != time),
            test=np.flatnonzero((case.minutes == time) & is_asked),
            fold=fold,
            held_out=(f"{time:g} min",),
        )
        for fold, time in enumerate(sorted(set(case.minutes[case.minutes > 0].tolist()), reverse=True))
    )


def noise_from_curvature(values: pd.DataFrame) -> Float[np.ndarray, " gene"]:
    """Standard deviation of the noise of a smooth time course, from each point and its two neighbours.

    The straight line between the neighbours is subtracted from the point and the difference divided by the standard
    deviation that unit noise would give it (Gasser, Sroka and Jennen-Steinmetz 1986, doi:10.1093/biomet/73.3.625).
    Time is on a square-root axis, along which responses bend least; the median of the absolute values makes it robust
    against bends.

    Parameters
    ----------
    values
        Rows indexed by inhibitor, ligand and minutes; one column per protein. An arm starts with the time-0 row of
        its inhibitor.
    """
    residuals = []
    for (inhibitor, ligand), arm in values.groupby(level=[0, 1]):
        if ligand != MOCK:
            arm = pd.concat([values.loc[[(inhibitor, MOCK, 0.0)]], arm])
        minutes = np.array([row[2] for row in arm.index], dtype=float)
        residuals.append(_interpolation_residual(np.sqrt(minutes), arm.to_numpy(float)))
    return np.median(np.abs(np.concatenate(residuals)), axis=0) / 0.6745


def _interpolation_residual(t: Float[np.ndarray, " time"], y: Float[np.ndarray, "time gene"]) -> np.ndarray:
    before = ((t[2:] - t[1:-1]) / (t[2:] - t[:-2]))[:, None]
    after = 1 - before
    return (y[1:-1] - before * y[:-2] - after * y[2:]) / np.sqrt(1 + before**2 + after**2)


def _arms(case: Hpn) -> tuple[np.ndarray, np.ndarray]:
    """Inhibitor and ligand of each row as one name, and whether it has both."""
    key = np.array([f"{i} × {ligand}" for i, ligand in zip(case.inhibitor, case.ligand, strict=True)])
    is_inhibited = np.array([inhibitor != NO_INHIBITOR for inhibitor in case.inhibitor])
    return key, is_inhibited & np.array([ligand != MOCK for ligand in case.ligand])


def _names(table: pd.DataFrame, columns: Sequence[str]) -> pd.Series:
    """Names of the treatments that a row has, joined by ``+``."""
    short = [c.removeprefix("TR:").split(":")[0] for c in columns]
    return table[list(columns)].apply(lambda row: "+".join(np.array(short)[row.to_numpy() == 1]), axis=1)


def _condition(
    targets: tuple[str, ...], ligand: str, preincubation: float, minutes: float, hours_per_minute: float
) -> Condition:
    """The protocol of a row: inhibitor, pre-incubation, ligand, harvest."""
    edits = tuple(Edit(gene=target, kind="drug") for target in targets)
    medium = () if ligand == MOCK else (SetMedia(name=ligand),)
    waits = (Wait(hours=preincubation * hours_per_minute), *medium, Wait(hours=minutes * hours_per_minute))
    return Experiment(id="row", steps=(*edits, *waits, Harvest())).conditions["harvest"]


def _assemble(
    mean: pd.DataFrame, conditions: list[Condition], error: np.ndarray, count: np.ndarray, *, name: str
) -> Hpn:
    media = tuple(sorted({str(ligand) for _, ligand, _ in mean.index if ligand != MOCK}))
    dataset = Dataset(
        genes=tuple(mean.columns),
        conditions=tuple(conditions),
        mean=mean.to_numpy(float),
        standard_error=error,
        n_cells=count,
        scale=log_scale(),
        system=CellSystem(name=name, maintenance_medium=STARVED, media=media),
        name=name,
    )
    return Hpn(
        dataset=dataset,
        inhibitor=tuple(i for i, _, _ in mean.index),
        ligand=tuple(x for _, x, _ in mean.index),
        minutes=np.array([m for _, _, m in mean.index]),
    )
