"""Four regimes in one table: worlds in hosts beside those in culture, held-out edits and times, the model against every baseline.

``python -m benchmarks.regimes_in_vivo --worlds 2`` writes ``results/regimes_in_vivo.md``; the worlds in culture are those of `benchmarks.regimes`, read from its table.
"""

from __future__ import annotations

import argparse
import datetime
import sys
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import jax
import numpy as np
import pandas as pd

from benchmarks.founders import markdown
from benchmarks.regimes import HARVEST, RESULTS, held_out, task_names
from semimech import FitConfig, fit
from semimech.data import Dataset, read
from semimech.evaluate import CEILING, Method, baseline_methods, run_benchmark
from semimech.evaluate.score import ROLL_OUT
from semimech.fit.branching import with_fates
from semimech.simulate import haematopoiesis_in_vivo, simulate_in_vivo, tumour_in_vivo, write_in_vivo

REGIMES = {"non-differentiating": tumour_in_vivo, "differentiating": haematopoiesis_in_vivo}
SIZES = {"n_genes": 40, "n_edits": 9, "days": (3, 6, 12), "cells": 40, "control_cells": 200}
FIRST_WORLD = 320
MODEL, BRANCHING = "semi-mechanistic", "semi-mechanistic + fates"


def simulated(regime: str, number: int) -> tuple[Dataset, np.ndarray]:
    """A screen of survivors, and the noise-free mean of the survivors of each condition in the observed scale."""
    world_key, screen_key = jax.random.split(jax.random.key(number))
    world, design = REGIMES[regime](**SIZES, key=world_key)
    screen = simulate_in_vivo(world, design, key=screen_key)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "screen.h5ad"
        write_in_vivo(screen, file)
        is_moving = regime == "differentiating"
        data = read(file, environment="in-vivo", differentiating=is_moving, min_cells=2)
    told = screen.cells.uns["truth"]
    names = told["conditions"]
    row = {(p, round(h, 3)): i for i, (p, h) in enumerate(zip(names["perturbation"], names["hours"], strict=True))}
    at = [row[c.perturbation, round(c.hours, 3)] for c in data.conditions]
    return replace(data, name=f"in vivo, {regime} {number}"), told["survivors"][at]


def one_world(regime: str, number: int) -> pd.DataFrame:
    """Squared errors of all methods at held-out edits and times."""
    data, truth = simulated(regime, number)
    config = FitConfig(seed=number)
    law = partial(fit, config=config)
    methods = [Method(name=MODEL, fit=lambda train, _: law(train)), *baseline_methods()]
    if regime == "differentiating":
        methods.insert(1, Method(name=BRANCHING, fit=lambda train, _: with_fates(train, law, seed=number)))
    scores = []
    for split in held_out(data, number):
        mean = data.mean.copy()
        mean[split.test] = truth[split.test]
        table = run_benchmark(methods, replace(data, mean=mean), [split], seed=number).scores
        table = table[(table["metric"] == "mse") & (table["mode"] == ROLL_OUT) & (table["predictor"] != CEILING)]
        scores.append(
            table.assign(task=task_names(table["hours"], split, data) if split.name == HARVEST else "held-out edits")
        )
    columns = ["task", "predictor", "perturbation", "hours", "scope", "value"]
    return pd.concat(scores)[columns].assign(regime=f"in vivo, {regime}", world=number)


def four(in_vivo: pd.DataFrame) -> pd.DataFrame:
    """Scores of all four regimes, one row per world, task and predictor, without the edited gene."""
    culture = pd.read_csv(RESULTS / "regimes.tsv.gz", sep="\t").rename(columns={"mse": "value"})
    culture["regime"] = "in vitro, " + culture["regime"]
    culture = culture[~culture["predictor"].str.contains("wiring")]
    both = pd.concat([culture, in_vivo])
    scope = next(s for s in both["scope"].unique() if "excl" in str(s) or "without" in str(s))
    both = both[both["scope"] == scope]
    return both.groupby(["regime", "task", "predictor", "world"], sort=False)["value"].mean().reset_index()


def table(scores: pd.DataFrame) -> pd.DataFrame:
    """The model, and the best other predictor chosen on the test conditions, per regime and task."""
    shown = []
    for (regime, task), rows in scores.groupby(["regime", "task"], sort=False):
        wide = rows.pivot(index="world", columns="predictor", values="value").dropna(axis=1)
        models = [
            m
            for m in (MODEL, BRANCHING)
            if m in wide and (m == MODEL or "in vivo" in regime or "differentiating" in regime)
        ]
        others = np.log(wide.drop(columns=[c for c in (MODEL, BRANCHING) if c in wide])).mean()
        best = str(others.idxmin())
        line = {
            "regime": regime,
            "task": task,
            "worlds": len(wide),
            "best other": f"{best} ({np.exp(others[best]):.4f})",
        }
        for name in (MODEL, BRANCHING):
            if name not in models or (name == BRANCHING and "non-" in regime):
                line[name] = "–"
                continue
            ratio = np.log(wide[name] / wide[best]).to_numpy()
            beaten = f"beats {int((np.log(wide[name]).mean() < others).sum())} of {len(others)}"
            if len(ratio) < 5:
                each = ", ".join(f"{np.exp(r):.2f}" for r in ratio)
                line[name] = f"{np.exp(ratio.mean()):.2f} (worlds: {each}), {beaten}"
                continue
            rng = np.random.default_rng(0)
            means = ratio[rng.integers(0, len(ratio), (4000, len(ratio)))].mean(axis=1)
            low, high = np.exp(np.quantile(means, [0.025, 0.975]))
            line[name] = f"{np.exp(ratio.mean()):.2f} [{low:.2f}, {high:.2f}], {beaten}"
        shown.append(line)
    return pd.DataFrame(shown)


def errors(scores: pd.DataFrame) -> pd.DataFrame:
    """Mean squared errors in hosts, all predictors."""
    rows = scores[scores["regime"].str.startswith("in vivo")]
    wide = rows.groupby(["predictor", "regime", "task"], sort=False)["value"].mean().unstack(["regime", "task"])
    wide.columns = [f"{r.removeprefix('in vivo, ')}, {t.removeprefix('held-out ')}" for r, t in wide.columns]
    return wide.map(lambda v: "–" if np.isnan(v) else f"{v:.4f}").reset_index()


def said(scores: pd.DataFrame) -> str:
    """Who is first where in hosts, and in which worlds the model loses to the best of the others."""
    sentences = []
    for regime, rows in scores[scores["regime"].str.startswith("in vivo")].groupby("regime", sort=False):
        told = []
        for task, part in rows.groupby("task", sort=False):
            wide = part.pivot(index="world", columns="predictor", values="value").dropna(axis=1)
            order = np.exp(np.log(wide).mean()).sort_values()
            own = [m for m in order.index if m in (MODEL, BRANCHING)]
            other = next(m for m in order.index if m not in own)
            lost = [str(w) for w in wide.index if wide.loc[w, own[0]] > wide.loc[w, other]]
            place = "first" if order.index[0] == own[0] else "behind"
            second = f", before {own[1]} ({order[own[1]]:.4f})" if len(own) > 1 else ""
            worse = f", to which it loses in world {' and '.join(lost)}" if lost else ""
            told.append(
                f"{task}: {own[0]} ({order[own[0]]:.4f}{second}) is {place}, the best other is {other} ({order[other]:.4f}){worse}"
            )
        sentences.append(f"*{regime}*: " + "; ".join(told) + ".")
    return " ".join(sentences)


def _one_edit(in_vivo: pd.DataFrame) -> str:
    """How much of the error at inner times is that of one edit."""
    rows = in_vivo[
        (in_vivo["task"] == "held-out inner time")
        & (in_vivo["scope"] == "excl")
        & in_vivo["regime"].str.endswith(", non-differentiating")
    ]
    told = []
    for world, part in rows.groupby("world"):
        wide = part.groupby(["perturbation", "predictor"])["value"].mean().unstack()[[MODEL, "persistence"]]
        worst = wide[MODEL].idxmax()
        rest = wide.drop(index=worst).mean()
        told.append(
            f"{worst} is {wide.loc[worst, MODEL] / wide[MODEL].sum():.0%} of the model's error in world {world}; on the other {len(wide) - 1} edits it has {rest[MODEL]:.3f} against {rest['persistence']:.3f} of persistence"
        )
    return "At inner times of cells that do not differentiate, by the edit of most error: " + "; ".join(told) + "."


def page(in_vivo: pd.DataFrame, worlds: int, minutes: float) -> str:
    scores = four(in_vivo)
    return (
        "\n\n".join(
            [
                "# Four regimes: in vitro and in vivo, differentiating and not",
                f"`python -m benchmarks.regimes_in_vivo --worlds {worlds}`, {datetime.date.today()}, 2 cores shared with other work, {minutes:.0f} minutes; worlds {FIRST_WORLD} to {FIRST_WORLD + worlds - 1} of presets `tumour_in_vivo` and "
                f"`haematopoiesis_in_vivo` with {SIZES['n_genes']} genes, {SIZES['n_edits']} knockouts, days {', '.join(map(str, SIZES['days']))}, {SIZES['cells']} cells per edit and {SIZES['control_cells']} unedited ones if all survived alike, "
                "three animals. Worlds in culture are those of [regimes.md](regimes.md), where the splits are described.",
                "In hosts cells are survivors: of founders, of guides of which a fifth of the cells escaped, of growth by state. Errors are against the noise-free mean of the survivors of complete edits, without the edited gene. Fewer than five worlds have no interval; each world's ratio is given.",
                "## One table",
                "Error over that of the best other predictor, which is picked on the test conditions themselves (in its favour): geometric mean over worlds [95 % bootstrap over worlds]. Below 1 the model is better. In culture the others include the Neural ODE and, where cells "
                "differentiate, baselines inside fates; neither was run in hosts.",
                markdown(table(scores)),
                "## Mean squared errors in hosts",
                markdown(errors(scores)),
                "## What the numbers say",
                said(scores),
                _one_edit(in_vivo),
                "What makes those edits hard was not taken apart; supposed are survivors, whose means move by selection and drift, which a law of cells reads as their dynamics, and edits of which a dozen cells is left. The counts of guides, which tell selection "
                "(`semimech abundance --cells`), are not used by these fits. Two worlds show what to look at, not how much it matters.",
            ]
        )
        + "\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=2)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument(
        "--page", metavar="MINUTES", type=float, help="only write the page of the table anew, which took so long"
    )
    options = parser.parse_args()
    if options.page is not None:
        table_ = pd.read_csv(options.results / "regimes_in_vivo.tsv", sep="\t")
        text = page(table_, table_["world"].nunique(), options.page)
        (options.results / "regimes_in_vivo.md").write_text(text, encoding="utf-8")
        return
    began, rows = time.time(), []
    for number in range(FIRST_WORLD, FIRST_WORLD + options.worlds):
        for regime in REGIMES:
            rows.append(one_world(regime, number))
            print(f"{regime} {number}: {time.time() - began:.0f} s", file=sys.stderr, flush=True)
            jax.clear_caches()
        table_ = pd.concat(rows, ignore_index=True)
        table_.to_csv(options.results / "regimes_in_vivo.tsv", sep="\t", index=False, float_format="%.5g")
        text = page(table_, number - FIRST_WORLD + 1, (time.time() - began) / 60)
        (options.results / "regimes_in_vivo.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
