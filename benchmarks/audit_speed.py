"""Time and memory of an audit of 100,000 cells and 2,000 genes: `python -m benchmarks.audit_speed`."""

from __future__ import annotations

import argparse
import resource
import sys
import time
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp

from semimech.assumptions.diagnostics import audit

RESULTS = Path(__file__).parent / "results" / "audit_speed.md"


def make(cells: int, genes: int, edits: int, density: float, rng: np.random.Generator) -> ad.AnnData:
    """Poisson counts without effects, as sparse as single cells are: every edit and a tenth of unedited cells, two days, three batches."""
    rate = rng.lognormal(0.0, 1.0, genes)
    rate *= density * genes / rate.sum()
    blocks = [
        sp.csr_matrix(rng.poisson(rate, (min(2000, cells - at), genes)).astype(np.float32))
        for at in range(0, cells, 2000)
    ]
    label = np.array(["control", *(f"G{i}" for i in range(edits))], dtype=object)
    share = np.r_[0.1, np.full(edits, 0.9 / edits)]
    obs = pd.DataFrame(
        {
            "perturbation": rng.choice(label, cells, p=share),
            "day": rng.choice([2, 3], cells),
            "batch": rng.choice(["b1", "b2", "b3"], cells),
        },
        index=[f"cell{i}" for i in range(cells)],
    )
    return ad.AnnData(X=sp.vstack(blocks).tocsr(), obs=obs, var=pd.DataFrame(index=[f"G{i}" for i in range(genes)]))


def main() -> None:
    """Measure once and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=100_000)
    parser.add_argument("--genes", type=int, default=2_000)
    parser.add_argument("--edits", type=int, default=100)
    asked = parser.parse_args()
    data = make(asked.cells, asked.genes, asked.edits, 0.1, np.random.default_rng(0))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    start, cpu = time.perf_counter(), time.process_time()
    found = audit(
        data, progress=lambda text: print(f"{time.perf_counter() - start:.0f} s\t{text}", file=sys.stderr, flush=True)
    )
    wall, used = time.perf_counter() - start, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    told = sum(finding.verdict != "cannot tell" for finding in found.findings)
    RESULTS.write_text(
        f"""# Speed of an audit

{time.strftime("%Y-%m-%d")}, 2 cores shared with other work, `python -m benchmarks.audit_speed`, one run, seed 0.

{asked.cells:,} cells × {asked.genes:,} genes, {data.X.nnz / 1e6:.0f} million counts, {asked.edits} edits, two days, three batches; {told} assumptions told.

| | measured | target |
|---|---|---|
| time | {wall:.0f} s ({used:.0f} s of CPU) | ≤ 120 s |
| peak memory, the data included | {peak:.1f} GiB ({before:.1f} GiB before the audit) | ≤ 6 GB |
""",
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
