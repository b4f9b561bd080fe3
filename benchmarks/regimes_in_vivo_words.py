"""Tables and words of the page of regimes in hosts, all told from the scores."""

from __future__ import annotations

import numpy as np
import pandas as pd

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
    """What the counts take off the errors of the model and of the best other, in hosts."""
    rows = scores[scores["regime"].str.startswith("in vivo")]
    told = []
    for (regime, task), part in rows.groupby(["regime", "task"], sort=False):
        wide = np.log(part.pivot(index="world", columns=["predictor", "training"], values="value")).mean()
        own = [m for m in (MODEL, BRANCHING) if m in wide.index.get_level_values(0)]
        changes = ", ".join(f"{m} {np.exp(wide[m, EDITED] - wide[m, LABELLED]):.2f}" for m in own)
        others = wide.drop(index=own, level=0)
        best = {t: others.xs(t, level=1).min() for t in (LABELLED, EDITED)}
        leads = min(wide[m, EDITED] for m in own) - best[LABELLED]
        told.append(
            f"{regime.removeprefix('in vivo, ')}, {task}: {changes}, the best other {np.exp(best[EDITED] - best[LABELLED]):.2f}; "
            f"the model with counts over the best other without, {np.exp(leads):.2f}"
        )
    return "What training on edited cells makes of errors, as a ratio: " + ". ".join(told) + "."
