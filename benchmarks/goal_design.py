"""Which protocol takes cells to a wanted state: chosen by the model against chosen by adding measured effects, in worlds where order counts.

``python -m benchmarks.goal_design --worlds 8`` writes ``results/goal_design.md`` and ``.tsv``.
"""

from __future__ import annotations

import argparse
import platform
import re
import sys
import time
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.order_matters import LATE, MEDIUM, RECIPE, SWITCH, asked, measure, measured_world
from semimech import FitConfig, fit
from semimech.data import Dataset
from semimech.design import Limits, choose_for_goal, independent_genes, make_goal, make_pool
from semimech.design.goal import closeness_interval
from semimech.experiment import Condition

RESULTS = Path(__file__).parent / "results"
CONFIG = FitConfig(
    n_members=4, n_steps=200, validation_steps=100, checkpoint_every=100, max_step_hours=12.0, steady_state="none"
)
N_GOALS, N_TRUTH_CELLS = 20, 512
PLANNERS = ("model", "additive", "additive in own durations", "any protocol at random", "best there is")


def protocols(genes: tuple[str, ...]) -> list[Condition]:
    """One or two edits before the medium changes or after: none of the second kind, and no pair, was measured."""
    sets = [(g,) for g in genes] + list(combinations(genes, 2))
    found = []
    for edited in sets:
        edits = " > ".join(f"edit {g}" for g in edited)
        for late in LATE:
            found.append(asked(f"{edits} > wait {SWITCH}h > medium {MEDIUM} > wait {late}h"))
            found.append(asked(f"medium {MEDIUM} > wait {SWITCH}h > {edits} > wait {late}h"))
    return found


def added(data: Dataset, condition: Condition, *, own: bool) -> np.ndarray:
    """Unedited cells and the measured effects of each edit and the medium alone: at the end of the protocol, or after as long as each was in force."""
    control, row = data.control_mean(), data.index
    total = sum(p.hours for p in condition.history)
    last = condition.history[-1].hours
    is_first = bool(condition.history[0].context.edits)
    edit_hours = total if is_first or not own else last
    medium_hours = total if not is_first or not own else last
    effect = lambda text: data.mean[row[asked(text)]] - control
    parts = [effect(f"edit {e.gene} > wait {edit_hours:g}h") for e in condition.edits]
    return control + sum(parts) + effect(f"medium {MEDIUM} > wait {medium_hours:g}h")


def one_world(number: int) -> pd.DataFrame:
    """The distance from the goal at which each planner ends, for goals that are states of protocols of the world."""
    world, data, prior, truth_key = measured_world(number, name="goal")
    model = fit(data, CONFIG, prior=prior)
    able = protocols(world.genes)
    truth = measure(world, able, n_cells=N_TRUTH_CELLS, key=truth_key)
    pool = make_pool(model, able)
    plans = {
        "additive": np.stack([added(data, c, own=False) for c in able]),
        "additive in own durations": np.stack([added(data, c, own=True) for c in able]),
    }
    share = independent_genes(model, able) / len(world.genes)
    rng, rows = np.random.default_rng(number), []
    is_unseen = np.array([c.history[0].context.medium == MEDIUM or len(c.edits) > 1 for c in able])
    for goal in rng.choice(np.flatnonzero(is_unseen), N_GOALS, replace=False):
        wanted = truth[goal]
        aim = make_goal(dict(zip(world.genes, wanted, strict=True)), world.genes, data.control_mean())
        first = choose_for_goal(pool, aim, Limits(batch=1), seed=0, independent_share=share)[0]
        reached = aim.closeness(truth)
        taken = {name: int(np.argmin(((p - wanted) ** 2).sum(axis=1))) for name, p in plans.items()}
        taken |= {"model": first.row, "any protocol at random": int(rng.integers(len(able)))}
        low, _, high = closeness_interval(pool, aim, range(len(able)), independent_share=share)
        is_other = np.arange(len(able)) != goal
        covered = float(((low <= reached) & (reached <= high))[is_other].mean())
        taken["best there is"] = int(goal)
        edits_late = able[goal].history[0].context.medium == MEDIUM
        width = high - low
        for name, row in taken.items():
            rows.append(
                {
                    "world": number,
                    "goal": int(goal),
                    "order": "medium first" if edits_late else "edits first",
                    "planner": name,
                    "error": float(((truth[row] - wanted) ** 2).mean()),
                    "right": row == goal,
                    "closeness": float(reached[row]),
                    "covered": covered,
                    "held": bool(low[row] - 1e-9 <= reached[row] <= high[row] + 1e-9),
                    "width": float(width[row]),
                    "any_width": float(np.median(width)),
                }
            )
    return pd.DataFrame(rows)


def ratio(table: pd.DataFrame, other: str) -> tuple[float, float, float]:
    """Mean error of the model over that of another planner, with a 90 % bootstrap over worlds."""
    wide = table.groupby(["world", "planner"])["error"].mean().unstack()
    ours, theirs = wide["model"].to_numpy(), wide[other].to_numpy()
    drawn = np.random.default_rng(0).integers(0, len(wide), (4000, len(wide)))
    ratios = ours[drawn].sum(axis=1) / np.maximum(theirs[drawn].sum(axis=1), 1e-12)  # all of few worlds may be right
    return float(ours.sum() / max(theirs.sum(), 1e-12)), *(float(q) for q in np.quantile(ratios, (0.05, 0.95)))


def coverage(model: pd.DataFrame) -> list[str]:
    """How often the 90 % interval of the share of the way held the truth, of what was chosen first."""
    right, held = model["right"].astype(bool), model["held"].astype(bool)
    n, k = len(held), int(held.sum())
    by_world = held.groupby(model["world"]).mean().to_numpy()
    drawn = by_world[np.random.default_rng(0).integers(0, len(by_world), (4000, len(by_world)))].mean(axis=1)
    low, high = np.quantile(drawn, (0.05, 0.95))
    share = k / n
    near = ", but not by interval" if low <= 0.95 and high >= 0.85 else ""
    said = "reached" if 0.85 <= share <= 0.95 else f"missed{' on the safe side' if share > 0.95 else ''}{near}"
    of = lambda part: f"{int(held[part].sum())} of {int(part.sum())}"
    return [
        f"The 90 % intervals of the share of the way held the truth for {100 * share:.0f} % of the protocols that the model chose ({k} of {n}; 90 % interval over worlds {100 * low:.0f} to {100 * high:.0f} %): the target of 85 to 95 % is {said}.",
        f"Where it chose the goal's very protocol, which goes the whole way: {of(right)}; where another: {of(~right)}. Median width {model['width'].median():.3f}. Of all protocols other than the goal's own they held the truth for",
        f"{100 * model['covered'].mean():.0f} %, with a median width of {model['any_width'].median():.2f}. Quantiles of draws around the prediction, as they were before, are never at the goal and held 12 % (worlds 500 to 507). The rule was settled on worlds 300 to 303.",
    ]


def page(table: pd.DataFrame, seconds: float) -> str:
    """The results as text."""
    n = table["world"].nunique()
    first = int(table["world"].min())
    lines = [
        "# Which protocol takes cells to a wanted state?",
        "",
        f"- {time.strftime('%Y-%m-%d')}; {platform.machine()}, 2 cores shared with other work, one of them used, {seconds:.0f} s.",
        f"- Command: `python -m benchmarks.goal_design --first {first} --worlds {n}`; seeds {first} to {first + n - 1} are worlds, noise and goals.",
        f"- The worlds of `order_matters`: {RECIPE.n_genes} genes and a medium. Measured: unedited cells, each knockout and the medium alone, and each knockout {SWITCH} h before the",
        f"  medium. Possible: one or two knockouts {SWITCH} h before the medium or {SWITCH} h after it, harvested {', '.join(map(str, LATE))} h after the second step. Each of {N_GOALS} goals a world is the",
        f"  state of a protocol that was not measured (medium first, or two edits): all {RECIPE.n_genes} genes count. Each planner takes one protocol, and the world says where it ends.",
        "- Model: masked wiring with 20 % false edges, four members; `choose_for_goal` with a batch of one. Additive: unedited cells plus measured effects of each edit and of the medium alone,",
        "  at the end of the protocol; *in own durations*: each after as long as it was in force.",
        "",
        "| planner | mean squared error of the state reached | median share of the way [worst tenth] | took the very protocol |",
        "|---|---|---|---|",
    ]
    for name in PLANNERS:
        part = table[table["planner"] == name]
        lines.append(
            f"| {name} | {part['error'].mean():.4f} | {part['closeness'].median():.3f} [{part['closeness'].quantile(0.1):.3f}] | {100 * part['right'].mean():.0f} % |"
        )
    lines += ["", "| goals | model / additive [90 %] | model / additive in own durations [90 %] |", "|---|---|---|"]
    for kind, part in [("all", table), *table.groupby("order")]:
        cells = ["{:.2f} [{:.2f}, {:.2f}]".format(*ratio(part, other)) for other in PLANNERS[1:3]]
        lines.append(f"| {kind} | {cells[0]} | {cells[1]} |")
    whole = ratio(table, "additive")
    own = ratio(table, "additive in own durations")
    lines += [
        "",
        f"Against additive planning, which does not know of order, the error is {whole[0]:.2f} [{whole[1]:.2f}, {whole[2]:.2f}]: the target of one half is {'reached' if whole[2] < 0.5 else 'reached, not by interval' if whole[0] <= 0.5 else 'missed'}. Against adding each effect for as long as it was in force,",
        f"the harder reference, it is {own[0]:.2f} [{own[1]:.2f}, {own[2]:.2f}].",
        "",
        *coverage(table[table["planner"] == "model"]),
    ]
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> None:
    """Run and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, default=500)
    parser.add_argument("--worlds", type=int, default=8)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--page", action="store_true", help="write the page of the table that is there")
    given = parser.parse_args(arguments)
    file = given.out / "goal_design.md"
    if given.page:
        seconds = float(re.findall(r"used, (\d+) s", file.read_text(encoding="utf-8"))[0])
        file.write_text(page(pd.read_csv(given.out / "goal_design.tsv", sep="\t"), seconds), encoding="utf-8")
        return
    began, found = time.monotonic(), []
    for number in range(given.first, given.first + given.worlds):
        found.append(one_world(number))
        print(f"world {number}\t{time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
        table = pd.concat(found, ignore_index=True)
        table.to_csv(given.out / "goal_design.tsv", sep="\t", index=False, float_format="%.5g")
        file.write_text(page(table, time.monotonic() - began), encoding="utf-8")


if __name__ == "__main__":
    main()
