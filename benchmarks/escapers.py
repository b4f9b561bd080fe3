"""Is the share of escapers found? Simulated shares of 0 to 60 %, and Papalexi's edits beside Mixscape.

``python -m benchmarks.escapers --worlds 2`` writes ``results/escapers.md``. ``--mixscape FILE`` is a table of cells with columns ``target`` and
``mixscape_class_global``, as pertpy's Mixscape leaves them in ``obs``; without it that column is left out.
"""

from __future__ import annotations

import argparse
import datetime
import platform
from pathlib import Path

import anndata as ad
import jax
import numpy as np
import pandas as pd

from benchmarks.design_errors import markdown
from benchmarks.sets import shared_data
from semimech.data import Keys
from semimech.data.curation.escapers import escapers_by_perturbation
from semimech.data.screen import read_screen
from semimech.experiment import Edit
from semimech.simulate import (
    Measurement,
    ScreenDesign,
    WorldRecipe,
    choose_edits,
    random_world,
    screen_experiments,
    simulate_screen,
)

RESULTS = Path(__file__).resolve().parent / "results"
SHARES = (0.0, 0.2, 0.4, 0.6)


def simulated(number: int) -> list[dict[str, object]]:
    """What is found of six edits in 200 cells each, at every share and for two kinds of edit."""
    world = random_world(WorldRecipe(n_genes=70, n_regulators=20), key=jax.random.key(10 * number))
    genes = [e[0] for e in choose_edits(world, n_singles=6, n_doubles=0, key=jax.random.key(10 * number + 1))[0]]
    rows: list[dict[str, object]] = []
    for kind in ("knockout", "crispri"):
        for share in SHARES:
            design = ScreenDesign(
                experiments=screen_experiments([(Edit(gene=g, kind=kind),) for g in genes], (4,)),
                cells=200,
                control_cells=600,
                escaper_share=share,
                measurement=Measurement(library_mean=4000.0),
            )
            data = simulate_screen(world, design, n_truth_cells=8, key=jax.random.key(10 * number + 2))
            screen, _ = read_screen(data, Keys(edit_kind=kind))
            is_escaper = np.asarray(data.uns["truth"]["is_escaper"])
            for name, found in escapers_by_perturbation(screen).items():
                cells = [screen.annotation.conditions[i].perturbation == name for i in screen.annotation.condition]
                true = float(is_escaper[cells].mean())
                rows.append(
                    {
                        "kind": kind,
                        "share": share,
                        "error": found.share - true,
                        "z": (found.share - true) / found.standard_error,
                        "by": "target's counts" if np.isnan(found.distance) else "whole cells",
                    }
                )
    return rows


def papalexi(mixscape: Path | None) -> pd.DataFrame:
    """Share of escapers of each target, where it can be told, beside Mixscape's share of cells that look unedited."""
    root = shared_data()
    if root is None:
        return pd.DataFrame()
    data = ad.read_h5ad(root / "papalexi_eccite" / "papalexi_lowmoi.h5ad")
    best = np.asarray(data.obsm["grna_counts"].argmax(axis=1)).ravel()
    data.obs["target"] = np.asarray(data.uns["grna_target"])[best]
    screen, _ = read_screen(data, Keys())
    found = escapers_by_perturbation(screen)
    table = pd.DataFrame(
        {
            "target": list(found),
            "escapers": [each.share for each in found.values()],
            "standard error": [each.standard_error for each in found.values()],
            "by": ["target's counts" if np.isnan(each.distance) else "whole cells" for each in found.values()],
        }
    )
    if mixscape is not None:
        cells = pd.read_csv(mixscape)
        unedited = (cells["mixscape_class_global"] == "NP").groupby(cells["target"]).mean()
        table["Mixscape"] = table["target"].map(unedited)
    return table.sort_values("escapers", ignore_index=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--worlds", type=int, default=2)
    parser.add_argument("--mixscape", type=Path)
    options = parser.parse_args()
    rows = []
    for number in range(options.worlds):
        rows += simulated(number)
        jax.clear_caches()
    table = pd.DataFrame(rows)
    by_share = [
        {
            "told by": by,
            "share": share,
            "edits told": len(each),
            "mean error": each["error"].mean(),
            "within 5 points": f"{(each['error'].abs() <= 0.05).mean():.0%}",
            "worst": each["error"].abs().max(),
            "beyond 2 standard errors": f"{(each['z'].abs() > 2).mean():.0%}",
        }
        for (by, share), each in table.groupby(["by", "share"])
    ]
    page = f"""# The share of escapers

- Date {datetime.date.today()}; {platform.machine()}, 2 cores shared with other work.
- Command: `python -m benchmarks.escapers --worlds {options.worlds}`; the seeds of a world are ten times its number and the two after it.

## Simulated

Six knockouts and six knockdowns per world, 200 cells each, 600 controls, 4,000 UMI, 70 genes; {options.worlds * 12} edits at each share.

{markdown(pd.DataFrame(by_share))}

## Papalexi's screen

Each cell with the target of its leading guide. Targets that move neither their cells nor their own transcript far enough have no row.

{markdown(papalexi(options.mixscape))}
"""
    RESULTS.joinpath("escapers.md").write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()
