"""What share of doublets the check of doublets (Scrublet) finds, by the share that is there, and by what else cells differ in.

``python -m benchmarks.doublets --seeds 5`` writes ``results/doublets.md``; needs ``semimech[doublets]``.
"""

from __future__ import annotations

import argparse
import datetime
import platform
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse as sp

from benchmarks.design_errors import markdown
from semimech.data.curation.doublets import DOUBLET_SHARE, doublet_share

RESULTS = Path(__file__).resolve().parent / "results"
SHARES = (0.0, 0.05, 0.1, 0.15, 0.2, 0.35, 0.5)
N_DROPLETS, N_GENES, DEPTH = 1000, 300, 3000


def droplets(share: float, n_types: int, seed: int) -> tuple[sp.csr_matrix, float]:
    """Droplets of cells of some types, a share of which holds two cells; and the share of droplets with cells of two types."""
    rng = np.random.default_rng(seed)
    profile = rng.lognormal(0, 1, (n_types, N_GENES))
    n_two = int(share * N_DROPLETS)
    kind = rng.integers(0, n_types, N_DROPLETS + n_two)
    depth = DEPTH * rng.lognormal(0, 0.3, len(kind))
    cells = rng.poisson(depth[:, None] * profile[kind] / profile[kind].sum(axis=1, keepdims=True))
    cells[:n_two] += cells[N_DROPLETS:]
    return sp.csr_matrix(cells[:N_DROPLETS].astype(float)), float(
        (kind[:n_two] != kind[N_DROPLETS:]).sum() / N_DROPLETS
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    rows = []
    for n_types in (1, 3, 8):
        for share in SHARES:
            told = [droplets(share, n_types, seed) for seed in range(options.seeds)]
            found = [doublet_share(counts) for counts, _ in told]
            known = [f for f in found if f is not None]
            rows.append(
                {
                    "types of cells": n_types,
                    "share of doublets": share,
                    "of two types": float(np.mean([t for _, t in told])),
                    "cannot tell": f"{len(found) - len(known)} of {len(found)}",
                    "found": float(np.mean(known)) if known else np.nan,
                    "least": min(known, default=np.nan),
                    "most": max(known, default=np.nan),
                    "warned": f"{sum(f > DOUBLET_SHARE for f in known)} of {len(found)}",
                }
            )
    page = f"""# The share of doublets

- Date {datetime.date.today()}; {platform.machine()}, 2 cores shared with other work.
- Command: `python -m benchmarks.doublets --seeds {options.seeds}`, with `semimech[doublets]`.

{N_DROPLETS} droplets, {N_GENES} genes, {DEPTH} UMI per cell; *found* is the mean over seeds of what Scrublet tells, *least* and *most* over seeds. The check warns above {DOUBLET_SHARE:.0%}.

{markdown(pd.DataFrame(rows))}

Scrublet's score of a droplet is the share of simulated doublets among its neighbours. Where doublets are many, the neighbours of one are other
real doublets, and none has a high score: neither another threshold nor another `expected_doublet_rate` brings them back. Cells of one type give nothing to
tell two by. In a pooled screen the share of cells with two guides tells more: `semimech.data.assign_guides(…).multiplet_share`.
"""
    RESULTS.joinpath("doublets.md").write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()
