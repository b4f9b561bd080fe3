"""Time and memory of allocating 2,000 edits to 50 batches, and of the variance components of 500,000 cells × 2,000 genes.

``python -m benchmarks.design_speed`` writes ``results/design_speed.md``.
"""

from __future__ import annotations

import argparse
import datetime
import platform
import resource
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse as sp

from benchmarks.design_errors import markdown
from semimech.design import Components, Request, allocate, estimate_components, pool_groups

RESULTS = Path(__file__).parent / "results"


def allocation_rows() -> list[dict[str, object]]:
    """Seconds of allocations of 2,000 edits to 50 batches."""
    rows = []
    edits = tuple(map(str, range(2000)))
    known = Components(cell=1.0, batch=0.05, interaction=0.01)
    uneven = tuple(np.linspace(5_000.0, 20_000.0, 50))
    for what, wishes in (
        ("all that fits, all edits in all batches", {"capacity": 20_000.0}),
        ("all that fits, 800 edits per batch", {"capacity": 20_000.0, "edits_per_batch": 800}),
        ("standard error 0.15, batches cost", {"capacity": 20_000.0, "standard_error": 0.15, "cost_per_batch": 1e3}),
        ("budget, unequal batches", {"capacity": uneven, "budget": 300_000.0}),
    ):
        start = time.perf_counter()
        found = allocate(Request(edits=edits, n_batches=50, components=known, **wishes))
        error = found.standard_error
        rows.append({"what": what, "seconds": time.perf_counter() - start, "standard error": error})
    return rows


def random_cells(n_cells: int, n_genes: int, per_cell: int, rng: np.random.Generator) -> sp.csr_matrix:
    """Sparse cells; which genes are seen is drawn with replacement, which costs nothing here."""
    columns = rng.integers(0, n_genes, n_cells * per_cell, dtype=np.int32)
    values = rng.random(n_cells * per_cell, dtype=np.float32)
    return sp.csr_matrix((values, columns, np.arange(0, n_cells * per_cell + 1, per_cell)), shape=(n_cells, n_genes))


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=500_000)
    parser.add_argument("--genes", type=int, default=2_000)
    options = parser.parse_args(arguments)
    rng = np.random.default_rng(0)
    allocations = allocation_rows()
    values = random_cells(options.cells, options.genes, options.genes // 10, rng)
    condition, batch = rng.integers(0, 200, options.cells), rng.integers(0, 20, options.cells)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    start = time.perf_counter()
    groups = pool_groups(values, condition=condition, batch=batch, n_conditions=200, n_batches=20)
    pooled = time.perf_counter() - start
    estimate_components(groups, tuple(map(str, range(options.genes))))
    whole = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    page = f"""# Time and memory of designs

- Date {datetime.date.today()}; {platform.machine()}, 2 cores shared with other work; command `python -m benchmarks.design_speed`.

2,000 edits in 50 batches (wanted: 5 s):

{markdown(pd.DataFrame(allocations))}

Variance components of {options.cells:,} cells × {options.genes:,} genes, a tenth of the values above zero, 200 conditions × 20 batches (wanted: 60 s, 4 GB):
**{whole:.1f} s** ({pooled:.1f} s of them for pooling cells), peak memory of the process **{peak:.2f} GiB** ({before:.2f} GiB with the cells alone).
"""
    RESULTS.joinpath("design_speed.md").write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main(sys.argv[1:])
