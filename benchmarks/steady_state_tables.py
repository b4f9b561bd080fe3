"""Tables of the steady-state study: errors with intervals, and pulling told from learning."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from benchmarks.steady_state_arms import LAW_NAMES, MECHANISTIC, TREATMENTS
from semimech.baselines import BASELINES
from semimech.evaluate import best_simple_baseline, compare

NO_CHANGE = "no change"
STRENGTHS = ("point", "mean", "moment")
GAIN = 0.8
_ORDER = (*TREATMENTS, "auto")
_N_BOOT = 1000
_BASELINES = tuple(baseline.name for baseline in BASELINES)


def long_form(scores: pd.DataFrame, column: str) -> pd.DataFrame:
    """One error of every prediction that was made, as `semimech.evaluate.compare` reads it."""
    scope = "all" if column.endswith("_all") else "excl"
    known = scores[scores["mse"].notna()]
    return known.assign(
        fold=0, condition=known["perturbation"], metric="mse", scope=scope, mode="roll-out", value=known[column]
    )


def ratios(scores: pd.DataFrame, reference: str, predictors: Sequence[str], *, column: str = "mse") -> pd.DataFrame:
    """Ratio of the mean error of predictors to that of a reference, indexed by predictor.

    Paired on data set, seed and edit; 95 % intervals from a bootstrap over edits and seeds. Empty without the reference.
    """
    table = long_form(scores, column)
    here = set(table["predictor"])
    asked = [p for p in predictors if p in here and p != reference]
    if reference not in here or not asked:
        return pd.DataFrame(columns=["estimate", "lower", "upper", "won"])
    found = compare(
        table,
        metric="mse",
        reference=reference,
        predictors=asked,
        scope=table["scope"].iloc[0],
        n_boot=_N_BOOT,
        rng=np.random.default_rng(0),
    )
    return found.set_index("predictor")


def control_arm(predictor: str) -> str:
    """The arm with weight decay only of the same law, without a prior network."""
    law = next(name for name in LAW_NAMES.values() if predictor.startswith(name))
    return f"{law}, weight decay"


def plain_arm(predictor: str) -> str:
    """The arm with neither steady-state loss nor strong weight decay, of the same law and wiring."""
    return f"{predictor.split(', ')[0]}, none"


def learned(scores: pd.DataFrame) -> list[str]:
    """Names of the arms, by law, wiring and treatment."""
    names = [p for p in dict.fromkeys(scores["predictor"]) if p not in _BASELINES and "," in p]
    return sorted(names, key=lambda name: (name.split(", ")[0], _ORDER.index(name.split(", ")[1])))


def best_baseline(scores: pd.DataFrame) -> str:
    """The simple baseline with the least error on the test conditions, which favours it; one that changes something
    or nothing, whichever is better.
    """
    return next(iter(best_simple_baseline(long_form(scores, "mse")).values()))


def change_of(scores: pd.DataFrame) -> pd.DataFrame:
    """How predicted relates to true change, per predictor, edited genes left out.

    Returns
    -------
    pandas.DataFrame
        ``error`` relative to no change; ``correlation`` (uncentred) and ``slope`` of predicted on true change;
        ``ideal``, the error left after the best rescaling of all predicted changes by one number; ``seeds``, ``edits``.
    """
    known = scores[scores["mse"].notna()]
    groups = known.groupby("predictor", sort=False)
    mean = groups[["mse", "pp", "pt", "tt"]].mean()
    size = np.sqrt(mean["pp"] * mean["tt"])
    correlation = (mean["pt"] / size.where(size > 0)).where(mean["pp"] > 1e-9)
    return pd.DataFrame(
        {
            "error": mean["mse"] / mean["tt"],
            "correlation": correlation,
            "slope": mean["pt"] / mean["tt"],
            "ideal": 1.0 - correlation.clip(lower=0).fillna(0.0) ** 2,
            "seeds": groups["seed"].nunique(),
            "edits": known.assign(edit=known["dataset"] + known["perturbation"]).groupby("predictor")["edit"].nunique(),
        }
    )


def arm_table(scores: pd.DataFrame) -> pd.DataFrame:
    """All arms and the baselines of one group and split, as text."""
    change = change_of(scores)
    names = [*learned(scores), *(b for b in _BASELINES if b in change.index)]
    names = [n for n in names if n in change.index]
    best = best_baseline(scores)
    with_target = ratios(scores, NO_CHANGE, names, column="mse_all")
    against_best = ratios(scores, best, names)
    against = {
        arm: ratios(scores, arm, names)
        for arm in {*map(control_arm, learned(scores)), *map(plain_arm, learned(scores))}
    }
    rows = []
    for name in names:
        row = change.loc[name]
        is_arm = name in learned(scores)
        rows.append(
            {
                "predictor": f"**{name}**" if name == best else name,
                "error / no change": f"{row['error']:.2f}",
                "with edited gene": f"{with_target['estimate'].get(name, 1.0):.2f}",
                "correlation": "–" if np.isnan(row["correlation"]) else f"{row['correlation']:.2f}",
                "slope": f"{row['slope']:.2f}",
                "after ideal shrinkage": f"{row['ideal']:.2f}",
                "/ none": _text(against[plain_arm(name)], name) if is_arm else "",
                "/ weight decay": _text(against[control_arm(name)], name) if is_arm else "",
                "/ best simple": _text(against_best, name),
                "seeds × edits": f"{row['seeds']:.0f}, {row['edits']:.0f}",
            }
        )
    return pd.DataFrame(rows)


def gain_table(scores: pd.DataFrame) -> pd.DataFrame:
    """Every strength of every law and wiring against both of its control arms, with a verdict."""
    rows = []
    for (group, split), part in scores.groupby(["group", "split"], sort=False):
        change = change_of(part)
        for name in learned(part):
            arm, strength = name.split(", ")
            if strength not in STRENGTHS or name not in change.index:
                continue
            none, decay = (ratios(part, control, [name]).loc[name] for control in (plain_arm(name), control_arm(name)))
            before = change.loc[[plain_arm(name), control_arm(name)], "correlation"]
            rows.append(
                {
                    "set": group,
                    "held out": words(split),
                    "law": arm,
                    "strength": strength,
                    "/ none": interval(none),
                    "/ weight decay": interval(decay),
                    "error / no change": f"{change.loc[name, 'error']:.2f}",
                    "correlation: none, decay → strength": (
                        f"{before.iloc[0]:.2f}, {before.iloc[1]:.2f} → {change.loc[name, 'correlation']:.2f}"
                    ),
                    "verdict": verdict(none, decay),
                }
            )
    return pd.DataFrame(rows)


def verdict(none: pd.Series, decay: pd.Series) -> str:
    """Ratios to the arm without the loss and to weight decay, in words.

    A gain is sure against both. An arm that is surely better than the first but not than the second does no more than
    weight decay does. Worse is surely worse than either.
    """
    if max(none["upper"], decay["upper"]) < 1:
        return "**gain ≥ 20 %**" if max(none["estimate"], decay["estimate"]) <= GAIN else "gain"
    if none["upper"] < 1:
        return "no more than weight decay"
    return "worse" if max(none["lower"], decay["lower"]) > 1 else "tie"


def contest_table(scores: pd.DataFrame) -> pd.DataFrame:
    """Semi-mechanistic arms against the best simple baseline: the package's default, the best without and with a prior."""
    rows = []
    for (group, split), part in scores.groupby(["group", "split"], sort=False):
        best = best_baseline(part)
        change = change_of(part)
        mechanistic = [n for n in learned(part) if n.startswith(LAW_NAMES[MECHANISTIC]) and n in change.index]
        full = change["seeds"].max()
        mechanistic = [n for n in mechanistic if change.loc[n, "seeds"] == full]
        wired = [n for n in mechanistic if " prior" in n]
        bare = [n for n in mechanistic if " prior" not in n]
        law = LAW_NAMES[MECHANISTIC]
        default = [f"{law}, {treatment}" for treatment in ("default", "auto", "none")]
        picks = {
            "default": [name for name in default if name in change.index][:1],
            "best without prior": bare,
            "best with prior": wired,
        }
        row = {"set": group, "held out": words(split), "best simple": f"{best} ({change.loc[best, 'error']:.2f})"}
        for title, names in picks.items():
            names = [n for n in names if n in change.index]
            if not names:
                row[title] = "–"
                continue
            name = change.loc[names, "error"].idxmin()
            excl, full_ratio = ratios(part, best, [name]), ratios(part, best, [name], column="mse_all")
            row[title] = f"{name.split(', ')[1]}: {interval(excl.loc[name])}; {full_ratio.loc[name, 'estimate']:.2f}"
        rows.append(row)
    return pd.DataFrame(rows)


def words(split: str) -> str:
    """A split as a reader says it."""
    return {"unseen_edit_medium": "unseen inhibitor × ligand"}.get(split, split.replace("_", " "))


def interval(row: pd.Series) -> str:
    """A ratio with its interval."""
    if np.isnan(row["lower"]):
        return f"{row['estimate']:.2f}"
    return f"{row['estimate']:.2f} [{row['lower']:.2f}, {row['upper']:.2f}]"


def _text(table: pd.DataFrame, name: str) -> str:
    return interval(table.loc[name]) if name in table.index else ""
