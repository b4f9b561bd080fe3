"""The page of `campaigns.py`: learning curves, and edits needed for the error of random choice."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd

from benchmarks.campaign_worlds import CONFIG, FALSE_SHARE, HOURS, N_GENES, SE
from semimech.design import Prices, saving

AT = 40
"""Edits of random choice whose error the others shall reach."""
FIELD = ("uncertain", "diverse", "k-means", "badge", "fused")
FEWEST = 6
"""Worlds below which a median has no interval and there is no verdict: of two, a bootstrap interval of the median holds it in half of all cases."""
OURS = ("lessons", "targeted", "error", "information")
NAMED = ("targeted",)
"""Strategies that are told which edits are scored."""


BEFORE = "- `lessons` and `targeted` were played before an edit's own gene was left out of what it teaches (`semimech.design.law_lessons`), and not again since."


def before_masking(table: pd.DataFrame) -> bool:
    """Whether some campaigns were played while an edit's own gene counted as a lesson."""
    return "own_left_out" not in table or bool(table["own_left_out"].isna().any())


def shares(table: pd.DataFrame) -> pd.DataFrame:
    """Error over no change by world, strategy and number of edits."""
    grouped = table.groupby(["family", "seed", "strategy", "n_edits"])
    total = grouped[["error", "no_change"]].sum()
    held = grouped["perturbation"].nunique().rename("held")
    return (total["error"] / total["no_change"]).rename("share").to_frame().join(held).reset_index()


def needed(sizes: np.ndarray, errors: np.ndarray, wanted: float) -> float:
    """Edits at which the lowest error so far falls to one that is wanted, between rounds by straight lines; infinite if it does not."""
    best = np.minimum.accumulate(errors)
    if best[0] <= wanted:
        return float(sizes[0])
    if best[-1] > wanted:
        return float("inf")
    after = int(np.argmax(best <= wanted))
    part = (best[after - 1] - wanted) / (best[after - 1] - best[after])
    return float(sizes[after - 1] + part * (sizes[after] - sizes[after - 1]))


def ratios(curves: pd.DataFrame, *, at: int = AT) -> pd.DataFrame:
    """Edits that each strategy needs in each world for the error of random choice at some number, over that number."""
    rows = []
    for (family, seed), world in curves.groupby(["family", "seed"]):
        of = {name: part.sort_values("n_edits") for name, part in world.groupby("strategy")}
        random = of["random"]
        wanted = float(np.minimum.accumulate(random["share"].to_numpy())[random["n_edits"].to_numpy() <= at][-1])
        reached = needed(random["n_edits"].to_numpy(float), random["share"].to_numpy(), wanted)
        for name, part in of.items():
            n = needed(part["n_edits"].to_numpy(float), part["share"].to_numpy(), wanted)
            rows.append({"family": family, "seed": seed, "strategy": name, "ratio": n / reached})
    return pd.DataFrame(rows)


def interval_of_median(values: np.ndarray) -> tuple[float, float, float]:
    """Median, and its 90 % bootstrap interval; infinite values stand for more than was played."""
    drawn = np.sort(np.random.default_rng(0).choice(values, (2000, len(values))), axis=1)
    medians = drawn[:, len(values) // 2] if len(values) % 2 else drawn[:, len(values) // 2 - 1 : len(values) // 2 + 1]
    medians = medians if medians.ndim == 1 else medians.mean(axis=1)
    low, high = np.quantile(medians, (0.05, 0.95), method="nearest")
    return float(np.median(values)), float(low), float(high)


def told(value: float) -> str:
    return "more than was played" if not np.isfinite(value) else f"{value:.2f}"


def median_told(values: np.ndarray) -> str:
    """A median and its interval; of few values the lowest and highest in round brackets instead."""
    if len(values) < FEWEST:
        return f"{told(float(np.median(values)))} ({told(values.min())}, {told(values.max())})"
    median, low, high = interval_of_median(values)
    return f"{told(median)} [{told(low)}, {told(high)}]"


def family_part(family: str, curves: pd.DataFrame) -> list[str]:
    """Tables of one family, and what they say."""
    part = curves[curves["family"] == family]
    n = part["seed"].nunique()
    sizes = [s for s in sorted(part["n_edits"].unique()) if s <= 50]
    wide = part[part["n_edits"].isin(sizes)].pivot_table(index="strategy", columns="n_edits", values="share")
    of = ratios(curves[curves["family"] == family])
    found = {name: values["ratio"].to_numpy() for name, values in of.groupby("strategy")}
    wins = of.assign(won=of["ratio"] < 1.0).groupby("strategy")["won"].sum()
    order = sorted(found, key=lambda name: (np.median(found[name]), wide.loc[name, sizes[-1]]))
    lines = [f"## {family.capitalize()} ({n} worlds)", ""]
    lines += [
        "| strategy | whose | "
        + " | ".join(f"{s} edits" for s in sizes)
        + f" | edits / random's {AT}: median {'[90 %]' if n >= FEWEST else '(lowest, highest)'} | worlds with fewer |"
    ]
    lines += ["|---|---|" + "---|" * (len(sizes) + 2)]
    for name in order:
        whose = "semimech" if name in OURS else "field" if name in FIELD else "–"
        cells = " | ".join(f"{wide.loc[name, s]:.3f}" if name in wide.index else "" for s in sizes)
        count = "–" if name == "random" else f"{wins[name]} of {n}"
        lines.append(f"| {name} | {whose} | {cells} | {median_told(found[name])} | {count} |")
    few = f"{n} worlds are too few for intervals and for a verdict: any of these may be chance."
    return lines + ["", *(verdict(of) if n >= FEWEST else [few, ""]), left_over(part), ""]


def left_over(part: pd.DataFrame) -> str:
    """How far random choice gets with nearly all edits, and how much of that was had early."""
    mean = part.groupby(["strategy", "n_edits"])["share"].mean()
    random = mean["random"]
    first, last, most = random.iloc[0], random.iloc[-1], int(random.index[-1])
    way = lambda name, n: 100 * (first - mean[name, n]) / (first - last)
    ours = max((name for name in OURS if name in mean.index), key=lambda name: way(name, 20))
    able = 3 * part.groupby("seed")["held"].first().mean()  # three quarters of the edits can be made
    return (
        f"With {most} of the some {able:.0f} edits that can be made, random choice has brought the error from {first:.3f} to {last:.3f}. "
        f"Of the way to there, `{ours}` has gone {way(ours, 20):.0f} % with 20 edits and {way(ours, 30):.0f} % with 30, random choice {way('random', 20):.0f} and {way('random', 30):.0f} %."
    )


def verdict(of: pd.DataFrame) -> list[str]:
    """The targets against the tables, in words; the field's best and our own are chosen by their medians, and then paired by world."""
    wide = of.pivot(index="seed", columns="strategy", values="ratio")
    found = {name: interval_of_median(wide[name].to_numpy()) for name in wide}
    field = min((name for name in FIELD if name in found), key=lambda name: found[name][0])
    said = lambda value, target: (
        "reached by interval" if value[2] <= target else "reached, not by interval" if value[0] <= target else "missed"
    )
    lines = [f"Best of the field: `{field}`, {median_told(wide[field].to_numpy())} of random's edits."]
    for kind, names in (
        ("Best of semimech that is told no more than these", set(OURS) - set(NAMED)),
        ("Told the names of the scored edits, which no strategy of the field is", set(NAMED)),
    ):
        if not names & set(found):
            continue
        ours = min(names & set(found), key=lambda name: (found[name][0], found[name][2], name))
        paired = np.nan_to_num((wide[ours] / wide[field]).to_numpy(), nan=1.0, posinf=np.inf)
        lines += [
            f"{kind}: `{ours}`, {median_told(wide[ours].to_numpy())}; the target of 0.50 is {said(found[ours], 0.5)}. It needs {median_told(paired)} of the edits of `{field}`, world by world; "
            f"the target of 0.80 is {said(interval_of_median(paired), 0.8)}."
        ]
    return ["  \n".join(lines), ""]


def savings_part(table: pd.DataFrame) -> list[str]:
    """Savings predicted from the errors at 10, 20 and 30 edits, against what the random campaign then showed."""
    rows = []
    for (family, _), world in table.groupby(["family", "seed"]):
        of = {
            name: part.pivot(index="n_edits", columns="perturbation", values="error")
            for name, part in world.groupby("strategy")
        }
        unchanged = world.drop_duplicates("perturbation")["no_change"].sum()
        random = of["random"].sum(axis=1) / unchanged
        early = [10, 20, 30]
        for name in (*OURS, *FIELD):
            if name in of:
                reached = float(of[name].loc[30].sum() / unchanged)
                n = needed(random.index.to_numpy(float), random.to_numpy(), reached)
                other = of["random"].loc[early].to_numpy()
                found = saving(np.array(early, float), of[name].loc[early].to_numpy(), other, Prices())
                shown = 1.0 - 30.0 / min(n, float(random.index[-1]))
                held = (found.upper >= shown) if not np.isfinite(n) else (found.lower <= shown <= found.upper)
                told_ = {"shown": shown, "predicted": found.share, "held": held, "above": found.lower > 0}
                rows.append({"family": family, "is_more": not np.isfinite(n)} | told_)
    lines = ["## Was the saving the predicted one?", ""]
    lines += [
        "From the errors at 10, 20 and 30 edits `semimech.design.saving` predicts the share of random's edits that a strategy saves; random choice, played on to 70 edits, shows it. Strategies of one world share its random campaign."
    ]
    lines += [
        "",
        "| family | predictions | predicted, median | shown, median | in the 90 % interval | more than was shown, and within | intervals above 0 |",
        "|---|---|---|---|---|---|---|",
    ]
    for family, part in pd.DataFrame(rows).groupby("family", sort=False):
        seen, more = part[~part["is_more"]], part[part["is_more"]]
        lines.append(
            f"| {family} | {len(part)} | {part['predicted'].median():.2f} | {part['shown'].median():.2f} | {seen['held'].sum()} of {len(seen)} | {more['held'].sum()} of {len(more)} | {part['above'].sum()} |"
        )
    return [*lines, "", "More campaigns, with a law in closed form: `campaign_value.md`.", ""]


def page(table: pd.DataFrame) -> str:
    """The results as text."""
    scored = table[table["seed"] >= 500]
    curves = shares(scored if len(scored) else table)
    families = list(dict.fromkeys(curves["family"]))
    seconds = table.drop_duplicates(["family", "seed"])["seconds"].sum() if "seconds" in table else float("nan")
    seeds = {f: sorted(curves[curves["family"] == f]["seed"].unique()) for f in families}
    absent = [name for name in (*OURS, *FIELD) if name not in set(table["strategy"])]
    lines = [
        "# Does choosing the next edits pay?",
        "",
        f"- {time.strftime('%Y-%m-%d')}; 2 cores shared with other work, one of them used, {seconds / 60:.0f} minutes of fits.",
        "- Commands: "
        + ", ".join(
            f"`python -m benchmarks.campaigns --family {f} --first {s[0]} --worlds {len(s)} --cache FOLDER`"
            for f, s in seeds.items()
        )
        + "; seeds are worlds, held-out edits, starts and fits. Strategies were settled on worlds 0 to 9.",
        f"- {N_GENES} genes, one harvest after {HOURS} h, standard error of a mean {SE} in log1p CP10k. A quarter of the edits is never made and scored (own gene apart,",
        "  variance of measurement taken off); the campaign starts with ten edits at random, the same for all, and makes ten a round.",
        f"- *wired*: 100 regulators are knocked out; a mask of all true edges with {100 * FALSE_SHARE:.0f} % false ones is known. *complexes*: edits hit one of one to seven members of 30 complexes;",
        f"  a table of complexes with {100 * FALSE_SHARE:.0f} % of its genes in a wrong one is known, the wiring is not.",
        *([BEFORE] if before_masking(table) else []),
        f"- Cheap fits: {CONFIG.n_members} members, {CONFIG.n_steps} steps (half of that in warm rounds), {CONFIG.n_folds} folds, one sparsity, no steady-state loss.",
        "- Worlds, of the 20 of the target: "
        + ", ".join(f"{len(s)} {f}" for f, s in seeds.items())
        + "."
        + (f" Not played: {', '.join(f'`{name}`' for name in absent)}." if absent else ""),
        "",
        "`targeted` alone is told which edits are held out (their names), as a user who asks for certain predictions would tell it; `lessons` is not, and no strategy of the field is. All fits, and `fused`, know the same tables.",
        "",
        "Error over that of predicting no change, mean over worlds, after so many edits; and the edits needed for the error that random choice has reached",
        f"with {AT}, over those that random choice needs for it (read off the lowest error so far, by straight lines between rounds).",
        "",
    ]
    for family in families:
        lines += family_part(family, curves)
    lines += savings_part(scored if len(scored) else table)
    return "\n".join(lines) + "\n"
