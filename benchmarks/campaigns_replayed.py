"""Campaigns replayed on sets that were measured in full: DREAM4 of 100 genes, CellBox, and Norman's fitness of pairs.

``python -m benchmarks.campaigns_replayed --set dream4 --repeats 6 --cache FOLDER`` (or ``cellbox``, ``norman``) writes ``results/campaigns_replayed.md``
and ``.tsv`` anew, and goes on from what is in the folder.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
import pandas as pd

from benchmarks import sets
from benchmarks.campaigns_page import BEFORE, FEWEST, before_masking, median_told, needed
from semimech import FitConfig
from semimech.data import Dataset
from semimech.design import Campaign, Limits, choose, run_campaign
from semimech.design.pool import Pool
from semimech.design.strategies import farthest
from semimech.experiment import parse_experiment
from semimech.model import PriorNetwork

RESULTS = Path(__file__).parent / "results"
CONFIG = FitConfig(
    steady_state="none",
    sparsities=(0.02,),
    n_folds=2,
    n_members=2,
    n_steps=40,
    validation_steps=40,
    checkpoint_every=20,
)
EFFECT, PAIR, NOISE = 1.0, 0.55, 0.3
"""Variances of Norman's pairs: of a gene's effect, of a pair's own departure from the sum, and of a measurement; taken, and in units of the first."""
STRATEGIES = ("random", "lessons", "targeted", "error", "information", "uncertain", "diverse", "badge", "fused")
COLUMNS = ["set", "seed", "strategy", "n_edits", "error", "no_change", "own_left_out"]


def dream4(root: Path, seed: int, cache: Path) -> pd.DataFrame:
    """Knock-outs of network 1 + seed mod 3, a quarter held out; the gold network with 20 % false edges as a mask."""
    case = sets.read_dream4(root, 100, 1 + seed % 3)
    is_knockdown = np.array([any(e.kind == "crispri" for e in c.edits) for c in case.dataset.conditions])
    data = case.dataset.subset(~is_knockdown)
    edges = sets.noisy_prior(case.gold, data.genes, rng=np.random.default_rng(seed))
    plan = Campaign(strategies=STRATEGIES, start=10, batch=10, rounds=4, seeds=(seed,))
    return replay(data, plan, cache / f"dream4-{seed}", PriorNetwork(edges=edges, use="mask"))


def replay(data: Dataset, plan: Campaign, folder: Path, prior: PriorNetwork | None) -> pd.DataFrame:
    """Mean errors of each round."""
    errors = run_campaign(data, plan, CONFIG, prior=prior, folder=folder)
    return errors.groupby(["seed", "strategy", "n_edits"])[["error", "no_change"]].mean().reset_index()


def norman(root: Path, seed: int, cache: Path) -> pd.DataFrame:
    """Fitness of pairs by a normal law in closed form: each gene has an effect, effects add up, and each pair departs from their sum by itself.

    No law of expression applies to one number per pair; what is tried is how pairs are chosen.
    """
    del cache
    table = pd.read_csv(root / "norman2019_gi" / "processed_fitnesses.csv", index_col=0)
    values = table.to_numpy(float)
    n = len(values)
    first, second = np.triu_indices(n, 1)
    keep = np.isfinite(values[first, second])
    first, second = first[keep], second[keep]
    target = values[first, second]
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(target))[:800]
    held, pool = order[:200], order[200:]
    singles = np.zeros((n, len(target)))
    singles[first, np.arange(len(target))] = singles[second, np.arange(len(target))] = 1.0
    design = singles.T
    kernel = EFFECT * design[order] @ design[order].T + PAIR * np.eye(len(order))
    at = {row: i for i, row in enumerate(order)}
    h, p = np.array([at[r] for r in held]), np.array([at[r] for r in pool])
    y = target - target[pool].mean()
    return played(kernel, y[order][:, None], h, p, seed=seed, start=20, batch=20, rounds=8, centre=True)


def cellbox(root: Path, seed: int, cache: Path) -> pd.DataFrame:
    """Drugs alone and in pairs by the same law, for 87 nodes at once: each drug has an effect on every node in proportion to its strength."""
    del cache
    found = sets.read_cellbox(root)
    treated = [c for c in found.dataset.conditions if not c.is_control]
    strength = np.abs(np.stack([found.strength[c][-len(found.inputs) :] for c in treated]))
    design = strength / np.maximum(strength.max(axis=0), 1e-12)
    kernel = EFFECT * design @ design.T + PAIR * np.eye(len(treated))
    values = np.asarray(found.dataset.mean)[[found.dataset.index[c] for c in treated]]
    order = np.random.default_rng(seed).permutation(len(treated))
    held, pool = np.split(order, [round(len(order) / 4)])
    return played(kernel, values, held, pool, seed=seed, start=10, batch=10, rounds=4, centre=False)


def played(
    kernel: np.ndarray,
    values: np.ndarray,
    held: np.ndarray,
    pool: np.ndarray,
    *,
    seed: int,
    start: int,
    batch: int,
    rounds: int,
    centre: bool,
) -> pd.DataFrame:
    """Campaigns of a normal law in closed form; where there is no untreated state, values are centred on those made."""
    rows = []
    for strategy in ("random", "error", "information", "uncertain", "diverse", "targeted"):
        made = list(np.random.default_rng([seed, 1]).permutation(pool)[:start])
        for number in range(rounds + 1):
            if number:
                rng = np.random.default_rng([seed, 2, number])
                made += choose_pairs(strategy, kernel, made, pool, held, batch, rng)
            inner = kernel[np.ix_(made, made)] + NOISE * np.eye(len(made))
            mean = values[made].mean(axis=0) if centre else 0.0
            guess = mean + kernel[np.ix_(held, made)] @ np.linalg.solve(inner, values[made] - mean)
            error = float(((guess - values[held]) ** 2).mean())
            unchanged = float((values[held] ** 2).mean())
            rows.append(
                {"seed": seed, "strategy": strategy, "n_edits": len(made), "error": error, "no_change": unchanged}
            )
    return pd.DataFrame(rows)


def choose_pairs(
    strategy: str,
    kernel: np.ndarray,
    made: list[int],
    pool: np.ndarray,
    held: np.ndarray,
    n: int,
    rng: np.random.Generator,
) -> list[int]:
    """Pairs to make next, by the functions that `semimech.design` chooses with."""
    free = np.setdiff1d(pool, made)
    if strategy == "random":
        return rng.permutation(free)[:n].tolist()
    if strategy == "diverse":
        value, vector = np.linalg.eigh(kernel)
        embedded = vector * np.sqrt(np.maximum(value, 0.0))
        return free[farthest(embedded[free], embedded[made], n)].tolist()
    inner = kernel[np.ix_(made, made)] + NOISE * np.eye(len(made))
    left = kernel - kernel[:, made] @ np.linalg.solve(inner, kernel[made])
    if strategy == "uncertain":
        return free[np.argsort(-np.diagonal(left)[free], kind="stable")[:n]].tolist()
    names = [
        parse_experiment(f"edit P{row} knockout > wait 1h > harvest").conditions["harvest"] for row in range(len(left))
    ]
    size = np.sqrt(np.diagonal(left))[:, None]
    pool_ = Pool(conditions=tuple(names), mean=np.zeros_like(size), spread=size, covariance=left, noise=NOISE)
    rows = np.arange(len(left))
    weight = np.isin(rows, held if strategy == "targeted" else free).astype(float)
    criterion = "information" if strategy == "information" else "error"
    picks = choose(pool_, Limits(batch=n), criterion=criterion, is_candidate=np.isin(rows, free), weight=weight)
    return [pick.row for pick in picks]


SETS: dict[str, tuple[str, int, Callable[[Path, int, Path], pd.DataFrame]]] = {
    "dream4": ("DREAM4, 100 genes", 40, dream4),
    "cellbox": ("CellBox", 40, cellbox),
    "norman": ("Norman, fitness of pairs", 100, norman),
}


def page(table: pd.DataFrame) -> str:
    """The results as text."""
    lines = [
        "# Campaigns replayed on sets that were measured in full",
        "",
        f"- {time.strftime('%Y-%m-%d')}; {platform.machine()}, 2 cores shared with other work, one of them used. Commands: `python -m benchmarks.campaigns_replayed --set NAME --repeats N --cache FOLDER`; seeds 0 to N − 1",
        "  are held-out edits, starts and fits.",
        "- A quarter of the edits is held out, ten are made at random to begin with (Norman: 200 of 800 pairs held out, 20), and ten (20) a round. DREAM4: networks 1 to 3 in turn, knock-outs, the gold network with",
        "  20 % false edges as a mask, fits of the full model. Norman: one number for each pair, so that no law of expression applies; each gene has an effect, these add up, and each pair departs from their",
        f"  sum by itself, all of them normal: variances {EFFECT:g}, {PAIR:g} and {NOISE:g} (of a measurement), taken and not tuned. What is tried is how pairs are chosen, by the functions of `semimech.design` on that covariance.",
        "  CellBox: drugs alone and in pairs by the same law in closed form, each drug with an effect on each of 87 nodes in proportion to its strength (fits of the full model would take some ten minutes of a core a repeat, by the first three of 37).",
        "- `targeted` alone is told the names of the scored pairs or edits.",
        *([BEFORE] if before_masking(table[table["set"] != "norman"]) else []),
        "",
    ]
    for name, (title, at, _) in SETS.items():
        part = table[table["set"] == name]
        if not len(part):
            lines += [f"## {title}: not run", ""]
            continue
        share = part.assign(share=part["error"] / part["no_change"])
        wide = share.pivot_table(index="strategy", columns="n_edits", values="share")
        sizes = list(wide.columns)[:: max(1, len(wide.columns) // 5)]
        lines += [f"## {title} ({part['seed'].nunique()} repeats)", ""]
        lines += [
            "| strategy | "
            + " | ".join(f"{s}" for s in sizes)
            + f" | edits / random's {at}: median {'[90 %]' if part['seed'].nunique() >= FEWEST else '(lowest, highest)'} | repeats with fewer |"
        ]
        lines += ["|---|" + "---|" * (len(sizes) + 2)]
        ratios: dict[str, list[float]] = {}
        for _, world in share.groupby("seed"):
            of = {k: v.sort_values("n_edits") for k, v in world.groupby("strategy")}
            random = of["random"]
            wanted = float(np.minimum.accumulate(random["share"].to_numpy())[random["n_edits"].to_numpy() <= at][-1])
            base = needed(random["n_edits"].to_numpy(float), random["share"].to_numpy(), wanted)
            for k, v in of.items():
                ratios.setdefault(k, []).append(
                    needed(v["n_edits"].to_numpy(float), v["share"].to_numpy(), wanted) / base
                )
        for k in sorted(ratios, key=lambda k: np.median(ratios[k])):
            won = "–" if k == "random" else f"{int((np.array(ratios[k]) < 1).sum())} of {len(ratios[k])}"
            lines.append(
                f"| {k} | "
                + " | ".join(f"{wide.loc[k, s]:.3f}" for s in sizes)
                + f" | {median_told(np.array(ratios[k]))} | {won} |"
            )
        n = part["seed"].nunique()
        if n < FEWEST:
            lines += ["", f"{n} repeats are too few for intervals and for a verdict: any of these may be chance."]
        lines.append("")
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> None:
    """Run and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--set", choices=tuple(SETS))
    parser.add_argument("--repeats", type=int, default=0)
    parser.add_argument("--cache", type=Path, default=Path("campaigns-replayed"))
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    root = sets.shared_data()
    if root is None:
        sys.exit("the shared data are not there: set SEMIMECH_SHARED_DATA to their folder")
    file = given.out / "campaigns_replayed.tsv"
    for seed in range(given.repeats):
        began = time.monotonic()
        found = SETS[given.set][2](root, seed, given.cache).assign(set=given.set, own_left_out=True)[COLUMNS]
        if file.exists():
            before = pd.read_csv(file, sep="\t")
            found = pd.concat([before[(before["set"] != given.set) | (before["seed"] != seed)], found])
        found.to_csv(file, sep="\t", index=False, float_format="%.5g")
        print(f"{given.set} {seed}\t{time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
        jax.clear_caches()
    (given.out / "campaigns_replayed.md").write_text(page(pd.read_csv(file, sep="\t")), encoding="utf-8")


if __name__ == "__main__":
    main()
