"""The page of `learned_policy.py`: policies that learned, against greedy criteria, heuristics and chance, world by world."""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.stats import t

from benchmarks.campaigns_page import AT, FEWEST, median_told, ratios, shares
from benchmarks.learned_policy_traits import NAMES
from benchmarks.learned_policy_worlds import (
    BATCH,
    FAMILIES,
    N_DRAWS,
    N_GENES,
    N_HELD,
    N_REGULATORS,
    ROUNDS,
    START,
)

WHOSE = {
    "random": "–",
    "lessons": "greedy: `lessons`",
    "taught": "greedy",
    "own error": "greedy",
    "own error at first": "field: top uncertain (GeneDisco)",
    "information": "greedy: `information`",
    "degree": "a reader of the table",
    "size": "largest predicted change",
    "distance": "field: core-set (`diverse`)",
}


def logs(table: pd.DataFrame) -> pd.DataFrame:
    """Mean over the rounds after the first of the logarithm of the error, by world and chooser."""
    later = table[table["round"] > 0]
    return later.assign(log=np.log(later["error"])).pivot_table(index="world", columns="chooser", values="log")


def ratio(difference: np.ndarray) -> tuple[float, float, float]:
    """Geometric mean of paired ratios and its 90 % interval by Student."""
    n = len(difference)
    half = t.ppf(0.95, n - 1) * difference.std(ddof=1) / np.sqrt(n)
    return tuple(float(np.exp(difference.mean() + s * half)) for s in (0.0, -1.0, 1.0))  # type: ignore[return-value]


def told(value: tuple[float, float, float]) -> str:
    return f"{value[0]:.3f} [{value[1]:.3f}, {value[2]:.3f}]"


def family_part(family: str, part: pd.DataFrame, policies: list[str]) -> list[str]:
    """Curves, and ratios of errors."""
    wide, n = logs(part), part["world"].nunique()
    curves = part.pivot_table(index="chooser", columns="round", values="error", aggfunc="median")
    sizes = [START + BATCH * r for r in range(ROUNDS + 1)]
    seen = "the family that was trained on" if family == "sparse" else "never seen in training"
    lines = [f"## {family.capitalize()}: {seen} ({n} worlds)", ""]
    lines += ["| choice | what | " + " | ".join(f"{s} edits" for s in sizes) + " | "]
    lines[-1] += " | ".join(f"error of `{p}` over its error [90 %]" for p in policies) + " |"
    lines += ["|---|---|" + "---|" * (len(sizes) + len(policies))]
    for name in wide.mean().sort_values().index:
        cells = [f"{v:.3f}" for v in curves.loc[name]]
        cells += ["–" if p == name else told(ratio((wide[p] - wide[name]).to_numpy())) for p in policies]
        lines.append(f"| {name} | {WHOSE.get(name, 'learned')} | " + " | ".join(cells) + " |")
    return [*lines, "", verdict(wide, policies), ""]


def verdict(wide: pd.DataFrame, policies: list[str]) -> str:
    """What the policies won, in words: against the best of the others in these very worlds, which favours those."""
    others = wide.drop(columns=policies).mean().sort_values()
    best = str(others.index[0])
    said = []
    for p in policies:
        found = ratio((wide[p] - wide[best]).to_numpy())
        word = "better by interval" if found[2] < 1 else "worse by interval" if found[1] > 1 else "not told from it"
        said.append(f"`{p}` {told(found)}: {word}")
    return f"Best of the others here: `{best}`. Against it: {'; '.join(said)}."


def weights(policies: Mapping[str, Mapping[str, np.ndarray]]) -> list[str]:
    """The policies, readable."""
    lines = ["## What the policies weigh", "", "| trait |", "|---|"]
    for trait in policies:
        lines[-2] += f" from {trait}: weight at first | with all edits made |"
        lines[-1] += "---|---|"
    for i, name in enumerate(NAMES):
        cells = [f"{p['weight'][i]:+.2f} | {p['weight'][i] + p['later'][i]:+.2f}" for p in policies.values()]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def campaigns(played: pd.DataFrame, others: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, int]:
    """Curves of the full model in the same worlds, the mean over four rounds of their logarithms, and the edits that all began with."""
    mine = others[(others["family"] == "wired") & others["seed"].isin(played["seed"].unique())]
    curves = shares(pd.concat([mine, played], ignore_index=True))
    begin = int(curves["n_edits"].min())
    later = curves[(curves["n_edits"] > begin) & (curves["n_edits"] <= 50)]
    wide = later.assign(log=np.log(later["share"])).pivot_table(index="seed", columns="strategy", values="log")
    return curves, wide, begin


def real_part(played: pd.DataFrame | None, others: pd.DataFrame) -> list[str]:
    """Campaigns with fits of the full model, in worlds that others played too."""
    lines = ["## Campaigns with fits of the full model", ""]
    if played is None:
        return [*lines, "Not played.", ""]
    seeds, (curves, wide, begin) = sorted(played["seed"].unique()), campaigns(played, others)
    same = curves[curves["n_edits"] == begin].groupby("seed")["share"].agg(lambda s: s.max() - s.min()).max()
    of, n = ratios(curves).pivot(index="seed", columns="strategy", values="ratio"), len(seeds)
    sizes = [s for s in sorted(curves["n_edits"].unique()) if s <= 50]
    mean = curves.pivot_table(index="strategy", columns="n_edits", values="share")
    new = [name for name in wide if name.startswith("policy") or name == "edges"]
    lines += [
        f"Worlds {seeds[0]} to {seeds[-1]} of `campaigns.py` (*wired*, 200 genes; {n} worlds; command `python -m benchmarks.learned_policy_campaigns --first {seeds[0]} --worlds {n} --cache FOLDER`), played by the policies as they are, learned on worlds of {N_GENES} genes in closed form, and by",
        f"`edges`, the greedy choice by information on the weights of the law; the other strategies are those of `campaigns.md` in the same worlds. All began with the same edits, and the errors there agree to {same:.1g}.",
        "",
        "| strategy | "
        + " | ".join(f"{s} edits" for s in sizes)
        + f" | edits / random's {AT}: median {'[90 %]' if n >= FEWEST else '(lowest, highest)'} | "
        + " | ".join(f"error of `{name}` over its error [90 %]" for name in new)
        + " |",
        "|---|" + "---|" * (len(sizes) + 1 + len(new)),
    ]
    for name in wide.mean().sort_values().index:
        cells = [f"{mean.loc[name, s]:.3f}" for s in sizes] + [median_told(of[name].to_numpy())]
        cells += ["–" if name == p else told(ratio((wide[p] - wide[name]).to_numpy())) for p in new]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return [*lines, "", *(against(wide, name) for name in new), ""]


def against(wide: pd.DataFrame, mine: str) -> str:
    """What one strategy won against those that are told no names of scored edits."""
    rest = list(wide.drop(columns=[mine, "targeted"]).mean().sort_values().index)
    found = {name: ratio((wide[mine] - wide[name]).to_numpy()) for name in rest}
    better = [f"`{name}`" for name, value in found.items() if value[2] < 1.0]
    worse = [f"`{name}`" for name, value in found.items() if value[1] > 1.0]
    even = [f"`{name}`" for name in found if f"`{name}`" not in (*better, *worse)]
    parts = [
        f"{word} {', '.join(names)}"
        for word, names in (
            ("better by interval than", better),
            ("not told from", even),
            ("worse by interval than", worse),
        )
        if names
    ]
    return f"- `{mine}` is {'; '.join(parts)}."


def conclusion(table: pd.DataFrame, mine: str, played: pd.DataFrame | None, others: pd.DataFrame) -> list[str]:
    """The targets, by the tables."""
    lines = ["| against | " + " | ".join(f"*{f}*" for f in FAMILIES) + " |", "|---|" + "---|" * len(FAMILIES)]
    word = lambda v: "better" if v[2] < 1.0 else "worse" if v[1] > 1.0 else "no difference told"
    found = {
        name: [ratio((w[mine] - w[name]).to_numpy()) for f in FAMILIES if len(w := logs(table[table["family"] == f]))]
        for name in ("lessons", "information", "own error at first", "distance", "degree", "random")
    }
    for name, values in found.items():
        lines.append(f"| {name} | " + " | ".join(f"{word(v)} {told(v)}" for v in values) + " |")
    kept = "It was not tried in whole campaigns."
    if played is not None:
        _, wide, _ = campaigns(played, others)
        value = ratio((wide[mine] - wide["lessons"]).to_numpy())
        kept = f"In {len(wide)} whole campaigns with the full model its error over that of `lessons` is {told(value)}"
        kept += ": it is no strategy of `semimech campaign`." if value[2] >= 1.0 else "."
    return [
        "**In short.** Error of the policy over that of others, by family (the first was trained on):",
        "",
        *lines,
        "",
        f"Against the greedy criterion that it began from (`lessons`) it is {word(found['lessons'][0])} by interval where it was trained, and in {sum(v[1] > 1.0 for v in found['lessons'])} of {len(found['lessons'])} families worse. Against the best greedy criterion of these worlds, information on the",
        f"weights of the law, it is {word(found['information'][0])}: what it learned is mostly to lean on that trait, and one greedy criterion does that better. So the target, better than greedy by interval, is {'reached' if word(found['information'][0]) == 'better' else 'reached against the first and missed against the second'}. {kept}",
    ]


def page(
    table: pd.DataFrame,
    policies: Mapping[str, Mapping[str, np.ndarray]],
    played: pd.DataFrame | None,
    others: pd.DataFrame,
) -> str:
    """The results as text."""
    names = [name for name in dict.fromkeys(table["chooser"]) if name.startswith("policy")]
    n = table["world"].nunique()
    lines = [
        "# A policy that learned which edit to make next",
        "",
        f"- {time.strftime('%Y-%m-%d')}; 2 cores shared with other work, one of them used.",
        f"- Commands: `python -m benchmarks.learned_policy --train`, then `--score {n}`; seeds are worlds, held-out edits, starts and draws. Training has seed 0, the worlds scored here were looked at by nobody before. Trained and scored, and `edges` played, before loops of this script were rewritten with the same arithmetic; not run again since.",
        f"- Worlds in closed form (`learned_policy_worlds.py`): {N_GENES} genes, {N_REGULATORS} of them regulators that can be knocked out, {N_HELD} knockouts held out, {START} made at random first, {ROUNDS} rounds of {BATCH}.",
        f"  The truth saturates, the law that is fitted is linear: Bayesian regression on a table with 20 % false edges, {N_DRAWS} draws for what is taught. Families: "
        + "; ".join(
            f"*{k}* {', '.join(f'{f} {v:g}' for f, v in zip(r._fields, r, strict=True))}" for k, r in FAMILIES.items()
        )
        + ".",
        f"- A policy scores each candidate by {len(NAMES)} traits, each the logarithm of its share of the largest (errors as they are after the picks before it), that the other choices here use one at a time, and by the share of edits made. The score is a weighted sum; it began from the greedy choice by *lessons*. Learned by REINFORCE (Williams 1992) with Adam: the reward of a round is the fall of the logarithm of the held-out error from then on, against other campaigns in the same world. In scoring the highest score is taken.",
        "",
        f"Median error over that of no change after so many edits, and geometric mean over {n} worlds and four rounds of the ratio of errors, paired by world.",
        "",
    ]
    lines += [*conclusion(table, names[0], played, others), ""]
    for family in dict.fromkeys(table["family"]):
        lines += family_part(family, table[table["family"] == family], names)
    return "\n".join([*lines, *real_part(played, others), *weights(policies)]) + "\n"
