"""Tables and words of the page of regimes in hosts, all told from the scores."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import t

MODEL, BRANCHING = "semi-mechanistic", "semi-mechanistic + fates"
COUNTED = " + counts"
"""Trained on cells that are edited, as counts of guides and the cells tell (`semimech.abundance.edited_cells`)."""
LABELLED, EDITED = "cells as labelled", "edited cells"
MEANS = "measured means"
"""Not a task: errors of what methods are trained on."""


def errors(scores: pd.DataFrame) -> pd.DataFrame:
    """Mean squared errors in hosts, all predictors: trained on cells as labelled / on edited cells."""
    rows = scores[scores["regime"].str.startswith("in vivo")]
    mean = rows.groupby(["predictor", "regime", "task", "training"], sort=False)["value"].mean().unstack("training")
    both = mean.map(lambda v: "–" if np.isnan(v) else f"{v:.4f}")
    wide = (both[LABELLED] + " / " + both[EDITED]).unstack(["regime", "task"])
    wide.columns = [f"{r.removeprefix('in vivo, ')}, {t.removeprefix('held-out ')}" for r, t in wide.columns]
    return wide.fillna("–").reset_index()


def trained_on(in_vivo: pd.DataFrame) -> pd.DataFrame:
    """What the measured means are off by, all edits and the one of each world that is off by most."""
    rows = in_vivo[in_vivo["task"] == MEANS]
    shown = []
    for regime, part in rows.groupby("regime", sort=False):
        wide = part.pivot(index=["world", "perturbation", "hours"], columns="predictor", values="value")
        by_edit = wide.groupby(["world", "perturbation"])[LABELLED].sum()
        worst = set(by_edit.groupby("world").idxmax())
        is_worst = np.array([(world, edit) in worst for world, edit, _ in wide.index])
        for name, kept in (("the edit of most error of each world", is_worst), ("all others", ~is_worst)):
            used = wide[kept]
            line = {"regime": regime, "edits": name, "conditions": len(used)}
            line |= {c: f"{used[c].mean():.3f}" for c in (LABELLED, "unedited cells", "noise of cells")}
            told = used.dropna()
            line[f"where edited cells are left: {LABELLED} → {EDITED}"] = (
                f"{told[LABELLED].mean():.3f} → {told[EDITED].mean():.3f} ({len(told)})"
            )
            shown.append(line)
    return pd.DataFrame(shown)


def parts_of(in_vivo: pd.DataFrame) -> str:
    """How much of the error of the measured means is that of unedited cells, in words."""
    rows = in_vivo[in_vivo["task"] == MEANS]
    told = []
    for regime, part in rows.groupby("regime", sort=False):
        wide = part.pivot(index=["world", "perturbation", "hours"], columns="predictor", values="value")
        most = wide["unedited cells"].groupby(["world", "perturbation"]).sum().groupby("world").max()
        share = wide["unedited cells"].sum() / wide[LABELLED].sum()
        concentrated = most.sum() / wide["unedited cells"].sum()
        told.append(
            f"{regime.removeprefix('in vivo, ').capitalize()}: unedited cells are {share:.0%} of the error of all measured means, and one edit of each world is {concentrated:.0%} of that"
        )
    return ". ".join(told) + "."


def against(scores: pd.DataFrame) -> str:
    """What the counts take off the errors of the model and of the best other, in hosts, and for which tasks the worlds bear that out."""
    rows = scores[scores["regime"].str.startswith("in vivo")]
    told, borne_out = [], []
    for (regime, task), part in rows.groupby(["regime", "task"], sort=False):
        where = f"{regime.removeprefix('in vivo, ')}, {task}"
        wide = np.log(part.pivot(index="world", columns=["predictor", "training"], values="value"))
        own = [m for m in (MODEL, BRANCHING) if m in wide.columns.get_level_values(0)]
        others = wide.drop(columns=own, level=0)
        best = {
            training: others[others.xs(training, axis=1, level=1).mean().idxmin(), training]
            for training in (LABELLED, EDITED)
        }
        change = {m: wide[m, EDITED] - wide[m, LABELLED] for m in own}
        leads = min((wide[m, EDITED] for m in own), key=np.mean) - best[LABELLED]
        told.append(
            f"| {where} | {', '.join(f'{m} {ratio(d)}' for m, d in change.items())} | {ratio(best[EDITED] - best[LABELLED])} | {ratio(leads)} |"
        )
        borne_out += [f"{m} at {where}" for m, d in change.items() if interval(d)[1] < 0.0]
    head = "| in hosts | the model | the best other | the model with counts over the best other without |\n|---|---|---|---|\n"
    return (
        f"What training on edited cells makes of errors, as a ratio: geometric mean over worlds [90 % interval by Student's t over {rows['world'].nunique()} worlds; tasks are many and the worlds few, so that one in twenty such intervals lies below 1 by chance].\n\n"
        + head
        + "\n".join(told)
        + "\n\nIntervals of the model's ratio lie below 1 for: "
        + ("; ".join(borne_out) or "none")
        + ". Elsewhere these worlds bear no gain out."
    )


def interval(logs: pd.Series) -> tuple[float, float]:
    """90 % interval of a mean over worlds, by Student's t."""
    half = t.ppf(0.95, len(logs) - 1) * logs.std(ddof=1) / np.sqrt(len(logs)) if len(logs) > 1 else np.inf
    return float(logs.mean() - half), float(logs.mean() + half)


def ratio(logs: pd.Series) -> str:
    """Geometric mean over worlds, with its interval."""
    low, high = np.exp(interval(logs))
    return f"{np.exp(logs.mean()):.2f} [{low:.2f}, {high:.2f}]"


def of_means(in_vivo: pd.DataFrame) -> str:
    """What weighing does to the error of the means that methods are trained on, in words."""
    rows = in_vivo[in_vivo["task"] == MEANS]
    told = []
    for regime, part in rows.groupby("regime", sort=False):
        wide = part.pivot(index=["world", "perturbation", "hours"], columns="predictor", values="value")
        mean = wide[[LABELLED, EDITED]].dropna().groupby("world").mean()
        told.append(
            f"{regime.removeprefix('in vivo, ')} {mean[LABELLED].mean():.3f} → {mean[EDITED].mean():.3f}, ratio {ratio(np.log(mean[EDITED] / mean[LABELLED]))}"
        )
    return (
        f"Weighing does this to the mean squared error of the means that are trained on, where edited cells are left: {'; '.join(told)} (geometric mean over worlds, 90 % by t). "
        "It takes unedited cells off and leaves fewer cells, whose noise is larger. Where errors of a method change by more than those of the means, better means alone are not why; that unedited cells pull all harvests of an edit one way, "
        "and noise pulls each its own way, which a law of many conditions averages, would do it, but is not shown here."
    )
