"""Screen all knock-outs of a large sparse law in silico, and measure time, memory and agreement with the full product.

``python -m benchmarks.in_silico OUT.zarr --genes 5000 --edges 20 [--report PAGE.md]``
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import resource
import shlex
import sys
import time
from pathlib import Path

import anndata as ad
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from semimech.data import CellSystem
from semimech.data.scale import count_scale
from semimech.design import edit_experiments, in_silico_screen, shortlist_pairs
from semimech.fit import FitConfig, FittedModel
from semimech.fit.borrow import NO_SOURCES
from semimech.fit.calibrate import Calibration
from semimech.fit.candidates import Candidate
from semimech.fit.donors import nothing_lent
from semimech.fit.members import predict_members
from semimech.fit.record import Fit, Record, Result
from semimech.fit.start import initial_model
from semimech.model import Roster, ScaleGrid, make_plan, thinned


def sparse_model(n_genes: int, n_edges: int, n_members: int, seed: int) -> FittedModel:
    """A model as a fit within a prior of ``n_edges`` regulators per gene gives it; its numbers are drawn, not fitted."""
    rng = np.random.default_rng(seed)
    roster = Roster(genes=tuple(f"G{i:04d}" for i in range(n_genes)))
    scale = count_scale(np.full(1000, 5000.0), target_sum=1e4)
    grid = ScaleGrid(state=scale.state_grid.astype(np.float32), observed=scale.observed_grid.astype(np.float32))
    unit = rng.lognormal(0.0, 1.0, n_genes).astype(np.float32)
    config = FitConfig(n_members=n_members)
    start = initial_model(roster, unit, grid, config, is_start_known=True, key=jax.random.key(seed))
    regulator = np.argsort(rng.random((n_genes, n_genes), dtype=np.float32), axis=1)[:, :n_edges]
    weight = np.zeros((n_members, n_genes, n_genes), np.float32)
    strength = rng.normal(0.0, 0.5 / np.sqrt(n_edges), (n_members, n_genes, n_edges))
    np.put_along_axis(weight, np.repeat(regulator[None], n_members, 0), strength.astype(np.float32), axis=2)
    half_life = rng.uniform(2.0, 24.0, n_genes)
    members = jax.tree.map(
        lambda leaf: jnp.stack([leaf] * n_members) if isinstance(leaf, jax.Array) else leaf,
        eqx.tree_at(lambda m: m.dynamics.regulation.weight, start, jnp.zeros(0)),
    )
    members = eqx.tree_at(
        lambda m: (m.dynamics.regulation.weight, m.dynamics.log_degradation),
        members,
        (jnp.asarray(weight), jnp.asarray(np.log(np.log(2) / half_life) * np.ones((n_members, 1)), jnp.float32)),
    )
    number = np.zeros((), np.float32)
    width = Calibration(
        gene=np.ones(n_genes, np.float32), slope=number, doubt=number, own=number, factor=np.float32(0.1) + number
    )
    fit = Fit(
        members=members,
        control=scale.to_observed(unit).astype(np.float32),
        residual=np.zeros((0, n_genes), np.float32),
        missed=np.zeros(n_genes, np.float32),
        carry_over=np.zeros((3, 3), np.float32),
        change=np.zeros((0, n_genes), np.float32),
        compose=np.array([1.0, 0.0, 0.0, 0.0], np.float32),
        trust=np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0], np.float32),
        lent=nothing_lent(n_genes),
        edges=np.zeros((2, 0), np.int32),
        seen=width,
        late=width,
        later=width,
        parts=width,
        unseen=width,
    )
    record = Record(
        config=config,
        chosen=Candidate(),
        selection=pd.DataFrame(),
        history=pd.DataFrame(),
        likeness=NO_SOURCES,
        dataset="drawn",
        fingerprint="",
    )
    return FittedModel(
        Result(fit=fit, roster=roster, system=CellSystem(), var_names=roster.genes, training=(), record=record)
    )


def timed(model: FittedModel, asked, path: Path) -> tuple[float, float]:
    """Seconds on the clock and of the processor."""
    wall, cpu = time.perf_counter(), time.process_time()
    begin = wall

    def said(done: int, total: int) -> None:
        print(f"{time.perf_counter() - begin:7.1f} s  {done} of {total}", file=sys.stderr, flush=True)

    in_silico_screen(model, asked, path, progress=said)
    return time.perf_counter() - wall, time.process_time() - cpu


def agreement(model: FittedModel, n: int = 8) -> tuple[float, float, float]:
    """Largest difference of the law by edge from the full product, and seconds of either for 64 knock-outs."""
    asked = [c for e in edit_experiments([(g,) for g in model.genes[:64]]) for c in e.conditions.values()]
    plan = make_plan(asked, model.roster)
    results, seconds = [], []
    for members in (thinned(model.fit.members), model.fit.members):
        jax.block_until_ready(predict_members(members, plan, model.solver))
        begin = time.perf_counter()
        results.append(np.asarray(predict_members(members, plan, model.solver)))
        seconds.append(time.perf_counter() - begin)
    return float(np.abs(results[0] - results[1]).max()), seconds[0], seconds[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--genes", type=int, default=5000)
    parser.add_argument("--edges", type=int, default=20)
    parser.add_argument("--members", type=int, default=1)
    parser.add_argument("--pairs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--report", type=Path)
    options = parser.parse_args()
    model = sparse_model(options.genes, options.edges, options.members, options.seed)
    singles = edit_experiments([(g,) for g in model.genes])
    wall, cpu = timed(model, singles, options.out)
    read = ad.read_zarr if options.out.suffix == ".zarr" else ad.read_h5ad
    begin = time.perf_counter()
    pairs = shortlist_pairs(read(options.out), options.pairs)
    ranked = time.perf_counter() - begin
    pair_wall, pair_cpu = timed(model, edit_experiments(pairs), options.out.with_stem(options.out.stem + "_pairs"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    difference, sparse, full = agreement(model)
    load = os.getloadavg()[1]
    n_pairs = options.genes * (options.genes - 1) // 2
    rows = [
        (f"all {options.genes:,} single knock-outs, settled, written", f"**{wall:.0f} s** ({cpu:.0f} s of processor)"),
        (f"{n_pairs:,} pairs ranked", f"{ranked:.1f} s"),
        (f"the first {options.pairs:,} pairs, settled, written", f"{pair_wall:.0f} s ({pair_cpu:.0f} s of processor)"),
        ("peak memory until then", f"{peak:.2f} GiB"),
        (
            "64 knock-outs, by edge against full product",
            f"{sparse:.2f} s against {full:.2f} s ({full / sparse:.1f}×), largest difference {difference:.1e}",
        ),
    ]
    text = "\n".join(
        [
            "# Screening a large model in silico",
            "",
            f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}, {os.cpu_count()} CPU cores ({platform.machine()}), shared with "
            f"other work (load {load:.1f} over five minutes); one run; seed {options.seed}; JAX {jax.__version__}.",
            "",
            "```bash",
            f"python -m benchmarks.in_silico {shlex.join([options.out.name, *sys.argv[2:]])}",
            "```",
            "",
            f"A law of {options.genes:,} genes with {options.edges} regulators each, {options.members} member(s); its numbers "
            "are drawn, not fitted. Numbers of the whole path: plan, steady states, corrections, intervals, file.",
            "",
            "| what | measured |",
            "|---|---|",
            *(f"| {name} | {value} |" for name, value in rows),
            "",
        ]
    )
    print(text)
    if options.report:
        options.report.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
