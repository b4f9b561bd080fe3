"""What interpretation says of simulated screens, against the truth: edges by their inclusion, half-lives by what the data could tell.

``python -m benchmarks.interpretation --worlds 3`` writes ``results/interpretation.md``.
"""

from __future__ import annotations

import argparse
import datetime
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np
import pandas as pd

from semimech import FitConfig, FittedModel, fit
from semimech.data import dataset_from_anndata
from semimech.interpret import half_lives, recovery, signed_edges
from semimech.simulate import ipsc_maintenance, simulate_screen

RESULTS = Path(__file__).resolve().parent / "results"
SIZE = {"n_genes": 60, "n_edits": 15, "n_doubles": 4, "cells": 40, "control_cells": 300}
DESIGNS = {"days 2, 3, 4, 5": (2.0, 3.0, 4.0, 5.0), "hours 4, 12, 24, 72": (1 / 6, 0.5, 1.0, 3.0)}
BANDS = {"all members": (1.0, 1.01), "some of them": (0.01, 0.99), "none": (0.0, 0.01)}


def fold(log_error: np.ndarray | pd.Series) -> float:
    """Median factor by which estimates are off."""
    return float(np.exp(np.median(np.abs(log_error)))) if len(log_error) else float("nan")


def half_life_rows(model: FittedModel, truth: pd.Series) -> pd.DataFrame:
    """Error of the estimated half-life and of the expected one, gene by gene."""
    found = half_lives(model).set_index("gene")
    true = truth.reindex(found.index)
    return pd.DataFrame(
        {
            "could_tell": found["could_tell"],
            "fold_spread": found["fold_spread"],
            "error": np.log(found["half_life_hours"] / true),
            "expected_error": np.log(model.record.config.half_life_hours / true),
            "estimate": np.log(found["half_life_hours"]),
            "truth": np.log(true),
        }
    )


def edge_rows(model: FittedModel, network: pd.DataFrame, regulators: Sequence[str]) -> pd.DataFrame:
    """Every pair of an edited regulator and another gene: inclusion, sign, and whether it is an edge in truth."""
    pairs = [(source, target) for source in regulators for target in model.genes if source != target]
    found = signed_edges(model).set_index(["source", "target"]).reindex(pairs)
    true = network.set_index(["source", "target"])["sign"].reindex(pairs).fillna(0).to_numpy()
    return pd.DataFrame(
        {
            "inclusion": found["inclusion"].fillna(0.0).to_numpy(),
            "is_edge": true != 0,
            "is_right": (true != 0) & (found["sign"].to_numpy() == true),
        }
    )


def study(seed: int, days: Sequence[float], config: FitConfig) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, float]]:
    """One world: rows of half-lives and of edges, and the recovery of the network."""
    world_key, screen_key = jax.random.split(jax.random.key(seed))
    world, design = ipsc_maintenance(**SIZE, days=days, key=world_key)
    screen = simulate_screen(world, design, key=screen_key)
    model = fit(dataset_from_anndata(screen), config)
    truth = screen.uns["truth"]
    network = pd.DataFrame(truth["network"])
    regulators = sorted({edit.gene for condition in model.training for edit in condition.edits})
    true_half_lives = pd.Series(np.asarray(truth["half_life_hours"]), index=screen.var_names)
    score = recovery(signed_edges(model), network, sources=regulators, targets=list(model.genes))
    return (
        half_life_rows(model, true_half_lives),
        edge_rows(model, network, regulators),
        {"auprc": score.auprc, "chance": score.chance, "sign_agreement": score.sign_agreement},
    )


def page(
    results: dict[str, list[tuple[pd.DataFrame, pd.DataFrame, dict[str, float]]]], *, worlds: int, seconds: float
) -> str:
    """The tables as Markdown."""
    lines = [
        "# Does interpretation say what is true?",
        "",
        f"- Date {datetime.date.today()}; {platform.machine()}, 2 cores shared with other work, {seconds:.0f} s.",
        f"- Command: `python -m benchmarks.interpretation --worlds {worlds}`; the number of a world is its seed.",
        f"- {worlds} worlds per design of `ipsc_maintenance` with {SIZE}; default settings of the fit, no prior network.",
        "  Edges: from the 15 edited regulators, direct edges in truth. Half-lives: true ones of 1 to 48 h, 8 h expected before the data.",
        "",
        "## Edges",
        "",
        "Share of pairs that are edges in truth, and edges with the right sign, by inclusion; mean over pairs of all worlds.",
        "",
        "| design | AUPRC (chance), range over worlds | sign right, of true edges found | "
        + " | ".join(f"held by {b}" for b in BANDS)
        + " |",
        "|---|---|---|" + "---|" * len(BANDS),
    ]
    for design, found in results.items():
        edges = pd.concat([rows for _, rows, _ in found])
        score = pd.DataFrame([each for *_, each in found])
        cells = []
        for low, high in BANDS.values():
            band = edges[(edges["inclusion"] >= low) & (edges["inclusion"] < high)]
            cells.append(f"{band['is_edge'].mean():.2f}, right sign {band['is_right'].mean():.2f} ({len(band)} pairs)")
        cells[-1] = cells[-1].replace(f", right sign {0.0:.2f}", "")
        lines.append(
            f"| {design} | {score['auprc'].mean():.2f} ({score['chance'].mean():.2f}), {score['auprc'].min():.2f} to "
            f"{score['auprc'].max():.2f} | {score['sign_agreement'].mean():.3f} | {' | '.join(cells)} |"
        )
    lines += [
        "",
        "## Half-lives",
        "",
        "Median factor by which they are off; Spearman correlation with the truth; factor of one standard deviation over members.",
        "",
        "| design | genes | share of genes | off by | 8 h for all is off by | correlation | members' spread |",
        "|---|---|---|---|---|---|---|",
    ]
    for design, found in results.items():
        genes = pd.concat([rows for rows, _, _ in found])
        for name, rows in (
            ("could tell", genes[genes["could_tell"]]),
            ("not told", genes[~genes["could_tell"]]),
            ("all", genes),
        ):
            correlation = rows["estimate"].corr(rows["truth"], method="spearman")
            lines.append(
                f"| {design} | {name} | {len(rows) / len(genes):.0%} | ×{fold(rows['error']):.2f} | ×{fold(rows['expected_error']):.2f} | "
                f"{correlation:.2f} | ×{rows['fold_spread'].median():.2f} |"
            )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    start = time.time()
    results: dict[str, list] = {design: [] for design in DESIGNS}
    for design, days in DESIGNS.items():
        for seed in range(options.worlds):
            results[design].append(study(seed, days, FitConfig(seed=seed)))
            print(f"{design}, world {seed}: {time.time() - start:.0f} s", file=sys.stderr)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "interpretation.md").write_text(page(results, worlds=options.worlds, seconds=time.time() - start))


if __name__ == "__main__":
    main()
