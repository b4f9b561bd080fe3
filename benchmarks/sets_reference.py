"""What each real data set looks like and how far the simplest predictions go: run to print one table per set."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pandas as pd
from jaxtyping import Float

from benchmarks.sets_common import shared_data
from benchmarks.sets_dream4 import Dream4, knockout_folds, own_target, read_dream4, training_data
from benchmarks.sets_hpn import MOCK, NO_INHIBITOR, Hpn, combination_folds, read_hpn, read_hpn_insilico, time_folds
from benchmarks.sets_renge import edit_folds, last_day_fold, read_renge
from semimech._errors import DataError
from semimech.data import Dataset, Split


def describe(dataset: Dataset) -> dict[str, object]:
    """Size, times and noise of a data set.

    Returns
    -------
    dict
        ``noise`` is the root mean square standard error, ``signal`` the root mean square change of edited rows against
        their matched controls, both in the observed scale.
    """
    hours = np.unique(dataset.hours[np.isfinite(dataset.hours)])
    edited = ~dataset.is_control
    reference = np.array([dataset.matched_control(c) for c, e in zip(dataset.conditions, edited, strict=True) if e])
    return {
        "set": dataset.name,
        "genes": len(dataset.genes),
        "conditions": len(dataset.conditions),
        "edited": int(edited.sum()),
        "stationary controls": int(dataset.is_stationary_control.sum()),
        "media": len(dataset.system.media) + 1,
        "hours": f"{hours.min():g}–{hours.max():g}" if len(hours) else "settled",
        "scale": dataset.scale.name,
        "noise": _rms(dataset.standard_error),
        "signal": _rms(dataset.mean[edited] - reference),
    }


def relaxation_time(hours: Float[np.ndarray, " time"], distance: Float[np.ndarray, " time"]) -> float:
    """Time in hours after which the distance to rest has fallen to 1/e of its first value, by interpolation.

    Parameters
    ----------
    hours
        Increasing times.
    distance
        Distance from rest at each, the first positive; NaN is returned if it never falls that far.
    """
    below = np.flatnonzero(distance <= distance[0] / np.e)
    if not len(below):
        return float("nan")
    last = below[0]
    share = (distance[last - 1] - distance[0] / np.e) / (distance[last - 1] - distance[last])
    return float(hours[last - 1] + share * (hours[last] - hours[last - 1]))


def dream4_relaxation_time(case: Dream4) -> float:
    """Relaxation time of a network in hours, root mean square over genes and series, noise taken off."""
    relaxation = case.relaxation
    wild_type = case.unedited.mean(axis=0)
    states = np.concatenate([relaxation.start[:, None], relaxation.values], axis=1)
    noise = (relaxation.standard_error**2).mean() + case.unedited.var(axis=0, ddof=1).mean() / len(case.unedited)
    square = ((states - wild_type) ** 2).mean(axis=(0, 2)) - noise
    return relaxation_time(np.concatenate([[0.0], relaxation.hours]), np.sqrt(np.maximum(square, 0.0)))


def dream4_reference(case: Dream4) -> pd.DataFrame:
    """Squared error on unseen knock-outs without the edited gene: one at a time, or in ten groups at size 100."""
    n_folds = None if len(case.dataset.genes) <= 10 else 10
    rows = []
    for fold in knockout_folds(case, n_folds=n_folds):
        train = training_data(case, fold)
        is_knockout = np.array([any(e.kind == "knockout" for e in c.edits) for c in train.conditions])
        predictions = {
            "robust wild type": train.mean[train.is_control][0],
            "mean of unedited": case.unedited.mean(axis=0),
            "wild-type sample": case.unedited[0],
            "mean of knock-outs": train.mean[is_knockout].mean(axis=0),
        }
        rows += _errors(case.dataset, fold, predictions, skip=own_target(case.dataset)[fold.test])
    return _summary(case.dataset.name, rows, reference="robust wild type")


def combination_reference(case: Hpn) -> pd.DataFrame:
    """Squared error on unseen inhibitor × ligand, in the logarithm."""
    rows = []
    for fold in combination_folds(case):
        predictions = {
            "additive": np.array([_additive(case, fold, row) for row in fold.test]),
            "ligand alone": np.array([case.dataset.mean[_arm(case, NO_INHIBITOR, row)] for row in fold.test]),
            "mean of that time": np.array(
                [
                    case.dataset.mean[fold.train][case.minutes[fold.train] == case.minutes[row]].mean(axis=0)
                    for row in fold.test
                ]
            ),
        }
        rows += _errors(case.dataset, fold, predictions)
    return _summary(case.dataset.name, rows, reference="additive")


def time_reference(case: Hpn) -> pd.DataFrame:
    """Squared error on an unseen time, in the logarithm: the time before, and the line to the time after.

    The line is straight along the root of time; at the last time it is the time before.
    """
    rows = []
    for fold in time_folds(case):
        held = case.minutes[fold.test[0]]
        before = np.array([_neighbour(case, row, held, -1) for row in fold.test])
        after = np.array([_neighbour(case, row, held, +1) for row in fold.test])
        root = np.sqrt(np.stack([case.minutes[before], np.full(len(before), held), case.minutes[after]]))
        width = np.where(root[2] > root[0], root[2] - root[0], 1.0)
        share = np.where(after == before, 0.0, (root[1] - root[0]) / width)[:, None]
        mean = case.dataset.mean
        predictions = {"time before": mean[before], "interpolated": (1 - share) * mean[before] + share * mean[after]}
        place = "inner" if fold.fold else "last"
        rows += _errors(case.dataset, replace(fold, name=f"{fold.name}, {place}"), predictions)
    return _summary(case.dataset.name, rows, reference="time before")


def renge_reference(dataset: Dataset) -> pd.DataFrame:
    """Squared error on unseen knock-outs and on the last day, without the edited gene, in the observed scale."""
    skip = own_target(dataset)
    rows = []
    for fold in edit_folds(dataset):
        same_day = dataset.hours[fold.test][:, None] == dataset.hours[fold.train]
        mean = same_day / same_day.sum(axis=1, keepdims=True) @ dataset.mean[fold.train]
        rows += _errors(dataset, fold, {"mean of other knock-outs": mean}, skip=skip[fold.test])
    fold = last_day_fold(dataset)
    names = np.array(dataset.perturbations)
    courses = [sorted(fold.train[names[fold.train] == names[row]], key=lambda r: dataset.hours[r]) for row in fold.test]
    before, last = (np.array([dataset.mean[course[i]] for course in courses]) for i in (-2, -1))
    predictions = {
        "mean of other knock-outs": np.broadcast_to(dataset.mean[fold.train].mean(axis=0), last.shape),
        "day before": last,
        "straight line": 2 * last - before,
    }
    rows += _errors(dataset, fold, predictions, skip=skip[fold.test])
    return _summary(dataset.name, rows, reference="mean of other knock-outs")


def _additive(case: Hpn, fold: Split, row: int) -> np.ndarray:
    """The ligand alone plus the inhibitor's mean effect at that time over the other ligands."""
    effects = [
        case.dataset.mean[r] - case.dataset.mean[base]
        for r in fold.train
        if case.inhibitor[r] == case.inhibitor[row]
        and case.minutes[r] == case.minutes[row]
        and (base := _arm(case, NO_INHIBITOR, r)) is not None
    ]
    return case.dataset.mean[_arm(case, NO_INHIBITOR, row)] + np.mean(effects, axis=0)


def _arm(case: Hpn, inhibitor: str, row: int) -> int | None:
    """Row with another inhibitor, the same ligand and the nearest time that was measured; ``None`` if none was."""
    same = [
        r for r in range(len(case.minutes)) if case.inhibitor[r] == inhibitor and case.ligand[r] == case.ligand[row]
    ]
    return min(same, key=lambda r: abs(case.minutes[r] - case.minutes[row]), default=None)


def _neighbour(case: Hpn, row: int, held: float, direction: int) -> int:
    """The nearest training row of the arm before or after the held-out time; an arm starts at its mock row."""
    arm = [
        r
        for r in range(len(case.minutes))
        if case.minutes[r] != held
        and (
            (case.inhibitor[r], case.ligand[r]) == (case.inhibitor[row], case.ligand[row])
            or (
                case.minutes[r] == 0
                and case.ligand[r] == MOCK
                and case.inhibitor[r] in (case.inhibitor[row], NO_INHIBITOR)
            )
        )
    ]
    side = [r for r in arm if direction * (case.minutes[r] - held) > 0] or arm
    return min(side, key=lambda r: (abs(case.minutes[r] - held), case.inhibitor[r] != case.inhibitor[row]))


def _errors(
    dataset: Dataset, fold: Split, predictions: dict[str, np.ndarray], *, skip: np.ndarray | None = None
) -> list[dict[str, object]]:
    """Squared errors of a fold; ``noise``, the squared standard error, is what a perfect prediction would score."""
    observed = dataset.mean[fold.test]
    predictions = predictions | {"noise": observed + dataset.standard_error[fold.test]}
    counted = np.ones(observed.shape, dtype=bool) if skip is None else ~skip
    return [
        {
            "split": fold.name,
            "predictor": name,
            "fold": fold.fold,
            "square": ((value - observed) ** 2)[counted].sum(),
            "n": counted.sum(),
        }
        for name, value in predictions.items()
    ]


def _summary(name: str, rows: Iterable[dict[str, object]], *, reference: str) -> pd.DataFrame:
    total = pd.DataFrame(rows).groupby(["split", "predictor"], sort=False)[["square", "n"]].sum()
    table = (total["square"] / total["n"]).rename("mse").reset_index()
    table.insert(0, "set", name)
    base = table[table["predictor"] == reference].set_index("split")["mse"]
    table["ratio"] = table["mse"] / table["split"].map(base)
    return table


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.nanmean(np.square(values))))


def main() -> None:
    """Print the tables to standard output, tab-separated.

    Raises
    ------
    DataError
        If the real data are not there.
    """
    root = shared_data()
    if root is None:
        raise DataError("no real data: set SEMIMECH_SHARED_DATA to their folder")
    networks = [read_dream4(root, size, network) for size in (10, 100) for network in (1, 2, 3)]
    arms = [read_hpn(root, "BT20"), read_hpn(root, "MCF7"), read_hpn_insilico(root)]
    renge = read_renge(root)
    described = pd.DataFrame([*(describe(case.dataset) for case in (*networks, *arms)), describe(renge)])
    described["relaxation hours"] = [dream4_relaxation_time(case) for case in networks] + [np.nan] * (len(arms) + 1)
    reference = [dream4_reference(case) for case in networks]
    reference += [f(case) for case in arms for f in (combination_reference, time_reference)]
    reference.append(renge_reference(renge))
    for table in (described, pd.concat(reference)):
        print(table.to_csv(sep="\t", index=False, float_format="%.4g"))


if __name__ == "__main__":
    main()
