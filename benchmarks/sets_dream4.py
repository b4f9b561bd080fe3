"""DREAM4 in-silico networks: settled knock-outs and knock-downs, and relaxations to the wild type.

The challenge (Marbach et al. 2010, doi:10.1073/pnas.0913357107) gives, for one simulated network, a wild-type sample,
one settled sample per knock-out (transcription rate set to zero) and per knock-down (rate halved), and time series:
at time 0 a wild-type sample, an unknown perturbation of about a third of the genes until time 500, then its removal.

* **Unit**: expression is relative to each gene's maximum, on a linear scale, noisy and cut off at zero.
* **Time** has no physical unit. ``hours_per_unit`` is 0.1: relaxation, which takes 90 to 310 units, then lasts 9 to
  31 hours, as mRNA with half-lives of hours would, and one series lasts 50 hours.
* **Noise**: between unedited replicates (the wild type and the first point of each series) the variance is
  proportional to the level: standard deviation over root level is 0.07 to 0.09 from level 0.02 to level 0.66.
* **Knock-outs** here remove production, so the gene's own mRNA is zero; a model that gives knock-outs on activity
  a free factor for the own mRNA has to learn this from the training knock-outs.
* **Signs** of the gold edges are unknown: the published files have none.
* **Second moments**: none. There are 6 or 11 unedited samples of 10 or 100 genes, and at 50 units apart the settled
  part of the series has no autocorrelation at size 10, so measurement noise cannot be told from fluctuation of the
  cells. The strengths ``point`` and ``mean`` of the steady-state loss can use the control row; ``moment`` can use
  nothing. The multifactorial samples of size 10 vary because every basal rate was changed for good: their covariance
  is that of infinitely slow extrinsic factors, and the stationary equation of fast noise does not hold for it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float

from benchmarks.sets_common import read_table
from semimech.data import CellSystem, Dataset, Split, identity_scale
from semimech.experiment import CONTROL, Condition, Edit, Experiment, Harvest, Wait

N_TIMES = 21
HALF_WAY = 10
LOWEST_LEVEL = 0.01


@dataclass(frozen=True, kw_only=True)
class Relaxation:
    """Unedited cells on their way back from a state that is not the wild type.

    Parameters
    ----------
    genes
        Gene names, in the order of the columns.
    start
        Observed state when the unknown perturbation is removed, as noisy as the rest.
    hours
        Time since then, in hours, without zero.
    values
        Observed states, unit of the data set.
    standard_error
        Measurement noise of ``values``.
    """

    genes: tuple[str, ...]
    start: Float[np.ndarray, "series gene"]
    hours: Float[np.ndarray, " time"]
    values: Float[np.ndarray, "series time gene"]
    standard_error: Float[np.ndarray, "series time gene"]


@dataclass(frozen=True, kw_only=True)
class Dream4:
    """One network of the challenge.

    Parameters
    ----------
    dataset
        Control row (mean of ``unedited``), knock-outs and knock-downs, all settled.
    unedited
        The wild-type sample and the first point of every series.
    relaxation
        Second halves of the series.
    gold
        True edges, columns ``source`` and ``target``, without signs.
    multifactorial
        Settled samples after changing every basal rate a little; ``None`` at size 100.
    noise_slope
        Variance of the measurement over the level.
    """

    dataset: Dataset
    unedited: Float[np.ndarray, "replicate gene"]
    relaxation: Relaxation
    gold: pd.DataFrame
    multifactorial: Float[np.ndarray, "sample gene"] | None
    noise_slope: float


def read_dream4(root: Path, size: int, network: int, *, hours_per_unit: float = 0.1) -> Dream4:
    """Read one network.

    Parameters
    ----------
    root
        Folder of the real data, which holds ``dream4``.
    size
        Number of genes, 10 or 100.
    network
        Number of the network, 1 to 3.
    hours_per_unit
        Hours that one unit of the challenge's time stands for.

    Raises
    ------
    DataError
        If a file is missing or cannot be read.
    """
    stem = (
        root
        / "dream4"
        / f"DREAM4_InSilico_Size{size}"
        / f"insilico_size{size}_{network}"
        / f"insilico_size{size}_{network}"
    )
    tables = {
        kind: read_table(Path(f"{stem}_{kind}.tsv")) for kind in ("wildtype", "knockouts", "knockdowns", "timeseries")
    }
    genes = tuple(tables["wildtype"].columns)
    series = tables["timeseries"][list(genes)].to_numpy(float).reshape(-1, N_TIMES, len(genes))
    unedited = np.vstack([tables["wildtype"].to_numpy(float), series[:, 0]])
    slope = noise_slope(unedited)
    wild_type = unedited.mean(axis=0)
    edited = np.vstack([tables["knockouts"].to_numpy(float), tables["knockdowns"].to_numpy(float)])
    edits = [_settled(Edit(gene=g, kind="knockout")) for g in genes]
    edits += [_settled(Edit(gene=g, kind="crispri", efficacy=0.5)) for g in genes]
    dataset = Dataset(
        genes=genes,
        conditions=(_settled(), *edits),
        mean=np.vstack([wild_type, edited]),
        standard_error=np.vstack(
            [noise(wild_type, wild_type, slope) / np.sqrt(len(unedited)), noise(edited, wild_type, slope)]
        ),
        n_cells=np.array([len(unedited)] + [1] * len(edited)),
        scale=identity_scale(),
        system=CellSystem(name=f"DREAM4 size {size} network {network}", maintenance_medium="unperturbed"),
        name=f"dream4-{size}-{network}",
    )
    times = tables["timeseries"]["Time"].to_numpy(float)[:N_TIMES]
    values = series[:, HALF_WAY + 1 :]
    gold_name = f"DREAM4_GoldStandard_InSilico_Size{size}_{network}.tsv"
    multifactorial = Path(f"{stem}_multifactorial.tsv")
    return Dream4(
        dataset=dataset,
        unedited=unedited,
        relaxation=Relaxation(
            genes=genes,
            start=series[:, HALF_WAY],
            hours=hours_per_unit * (times[HALF_WAY + 1 :] - times[HALF_WAY]),
            values=values,
            standard_error=noise(values, wild_type, slope),
        ),
        gold=_gold(root / "dream4" / "DREAM4_Challenge2_GoldStandards" / f"Size {size}" / gold_name),
        multifactorial=read_table(multifactorial).to_numpy(float) if size == 10 else None,
        noise_slope=slope,
    )


def noise_slope(replicates: Float[np.ndarray, "replicate gene"]) -> float:
    """Variance over level: the mean over genes of the variance, over the mean level."""
    return float(replicates.var(axis=0, ddof=1).mean() / replicates.mean())


def noise(values: np.ndarray, wild_type: Float[np.ndarray, " gene"], slope: float) -> np.ndarray:
    """Standard deviation of measurements.

    The level under the variance is half-way between value and wild type, so that a value that noise has
    brought near zero does not seem exact, and never below `LOWEST_LEVEL`.
    """
    return np.sqrt(slope * np.maximum(0.5 * (values + wild_type), LOWEST_LEVEL))


def knockout_folds(case: Dream4, *, n_folds: int | None = None) -> tuple[Split, ...]:
    """Hold out knock-outs; the knock-downs of the same genes are in neither part.

    Parameters
    ----------
    case
        The network.
    n_folds
        Number of groups of genes; group ``k`` takes every ``n_folds``-th gene from the ``k``-th on. One gene each
        if not given.
    """
    dataset = case.dataset
    n_folds = n_folds or len(dataset.genes)
    is_knockout = np.array([any(e.kind == "knockout" for e in c.edits) for c in dataset.conditions])
    splits = []
    for fold in range(n_folds):
        held_out = dataset.genes[fold::n_folds]
        is_held = np.isin(dataset.perturbations, held_out)
        train, test = np.flatnonzero(~is_held), np.flatnonzero(is_held & is_knockout)
        splits.append(Split(name="unseen_edit", train=train, test=test, fold=fold, held_out=held_out))
    return tuple(splits)


def training_data(case: Dream4, split: Split) -> Dataset:
    """The training rows, with the robust wild type as control row.

    Most edits leave most genes alone, so the median over training conditions and unedited samples is a better wild
    type than the mean of the unedited samples alone (by 5 % of the squared error of an unseen knock-out at size 100;
    no difference at size 10). Nothing held out enters it. The standard error stays that of the unedited samples.
    """
    train = case.dataset.subset(split.train)
    control = np.flatnonzero(train.is_control)
    mean = train.mean.copy()
    mean[control] = robust_wild_type(train, case.unedited)
    return replace(train, mean=mean)


def robust_wild_type(dataset: Dataset, unedited: Float[np.ndarray, "replicate gene"]) -> Float[np.ndarray, " gene"]:
    """Median of each gene over unedited samples and over the conditions that edit other genes."""
    values = np.where(own_target(dataset), np.nan, dataset.mean)[~dataset.is_control]
    return np.nanmedian(np.vstack([unedited, values]), axis=0)


def own_target(dataset: Dataset) -> np.ndarray:
    """Whether the column is the edited gene of the row."""
    return np.array([[gene in name.split("+") for gene in dataset.genes] for name in dataset.perturbations])


def _settled(*edits: Edit) -> Condition:
    protocol = (*edits, Wait(hours=np.inf), Harvest())
    return Experiment(id=CONTROL, steps=protocol).conditions["harvest"]


def _gold(path: Path) -> pd.DataFrame:
    table = read_table(path, header=None).set_axis(["source", "target", "is_edge"], axis=1)
    return table.loc[table["is_edge"] == 1, ["source", "target"]].reset_index(drop=True)
