"""How much better the covariances of unedited cells are told with edited ones, and what escapers do to that.

``python -m benchmarks.edited_moments --worlds 3``; the page goes to benchmarks/results.
"""

from __future__ import annotations

import argparse
import datetime
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pandas as pd

from semimech.data import Dataset
from semimech.data.edited_moments import moments_with_edited_cells
from semimech.simulate import STUDY_KINDS, simulate_study, study_world

UMI, TRUE_CELLS = 5000.0, 20_000
ESCAPED = (0.0, 0.3)


def with_escapers(data: Dataset, share: float, *, seed: int) -> Dataset:
    """The data set with a share of each edited condition's cells replaced by unedited ones, and means of what is there then."""
    if share == 0.0 or data.cells is None:
        return data
    rng, cells = np.random.default_rng(seed), data.cells
    values = cells.values.toarray()
    unedited = np.flatnonzero(data.is_control[cells.condition])
    escaped = np.flatnonzero(~data.is_control[cells.condition] & (rng.random(len(values)) < share))
    values[escaped] = values[rng.choice(unedited, len(escaped))]
    mean = np.stack([values[cells.condition == row].mean(axis=0) for row in range(len(data.conditions))])
    return replace(data, mean=mean, cells=replace(cells, values=values))


def measure(n_worlds: int) -> Iterator[dict[str, object]]:
    """Squared errors of covariances in units of the variances that are seen, over pairs of genes, for each world."""
    for kind in STUDY_KINDS:
        for seed in range(n_worlds):
            keys = jax.random.split(jax.random.key(1000 * STUDY_KINDS.index(kind) + 400 + seed), 2)
            world = study_world(kind, key=keys[0])
            noisy = simulate_study(world, umi=UMI, key=keys[1])
            clean = simulate_study(world, umi=None, control_cells=TRUE_CELLS, key=keys[1]).dataset.control_moments
            train = noisy.dataset.subset(noisy.train)
            alone = train.control_moments
            if alone is None or clean is None:
                raise RuntimeError("a study has control moments")
            deviation = np.sqrt(np.diagonal(alone.covariance) + alone.noise)
            pairs, scale = ~np.eye(len(deviation), dtype=bool), np.outer(deviation, deviation)
            for share in ESCAPED:
                together = moments_with_edited_cells(with_escapers(train, share, seed=seed))
                if together is None:
                    raise RuntimeError("a study has control moments")
                errors = [
                    float(np.mean(((m.covariance - clean.covariance) / scale)[pairs] ** 2)) for m in (alone, together)
                ]
                signal = float(np.mean((clean.covariance / scale)[pairs] ** 2))
                yield {
                    "kind": kind,
                    "world": 400 + seed,
                    "escaped": share,
                    "signal": signal,
                    "alone": errors[0],
                    "together": errors[1],
                }
        jax.clear_caches()


def page(table: pd.DataFrame, *, command: str, seconds: float) -> str:
    """The page of results."""
    lines = [
        "# Covariances of unedited cells, told with edited ones",
        "",
        f"- Date {datetime.date.today()}; 2 cores shared with other work, {seconds:.0f} s.",
        f"- Command: `{command}`; worlds 400 and on of `semimech.simulate.study_world`, which no setting was chosen on.",
        "- 24 genes, 2,000 unedited cells, 16 knockouts on four days with 200 cells each, 5,000 UMI over the transcriptome. *Escaped*: so many cells of each edited condition are replaced by unedited ones.",
        "",
        "Squared error of covariances over pairs of genes, in units of the variances that are seen, × 10⁴, means over worlds; *signal* is their mean square. Truth: 20,000 unedited cells without counting noise (their own sampling error is near 0.5).",
        "",
        "| worlds | escaped | signal | unedited cells alone | with edited cells | ratio | worlds better |",
        "|---|---|---|---|---|---|---|",
    ]
    for (kind, share), part in table.groupby(["kind", "escaped"], sort=False):
        ratio = np.exp(np.log(part["together"] / part["alone"]).mean())
        signal, alone, together = (1e4 * part[name].mean() for name in ("signal", "alone", "together"))
        better = f"{int((part['together'] < part['alone']).sum())} of {len(part)}"
        lines.append(f"| {kind} | {share:.0%} | {signal:.1f} | {alone:.2f} | {together:.2f} | {ratio:.2f} | {better} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=3)
    asked = parser.parse_args()
    began = time.perf_counter()
    table = pd.DataFrame(list(measure(asked.worlds)))
    text = page(
        table,
        command=f"python -m benchmarks.edited_moments --worlds {asked.worlds}",
        seconds=time.perf_counter() - began,
    )
    (Path(__file__).parent / "results" / "edited_moments.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
