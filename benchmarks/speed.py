"""Speed as ratios: steps with gradient and steady states against PyTorch, Diffrax and bare matrix products, in one run.

``python -m benchmarks.speed --torch ENVIRONMENT/bin/python`` (made from ``benchmarks/peers/integrators/requirements.txt``)
writes the page and the figure; without ``--torch`` the rows of PyTorch are left out. ``--quick`` leaves out the growth curves.
Methods of one table take turns, and a ratio is the median of the ratios of all turns.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import jax
import numpy as np
import pandas as pd

from benchmarks import speed_page
from benchmarks.speed_problems import (
    Problem,
    error,
    evaluations,
    exact,
    flops,
    problem,
    products_alone,
    states,
    step,
    torch_arrays,
    with_diffrax,
)
from semimech.model import ExponentialSolver, accurate_solver

Method = Callable[[], float]
COPIES = 16
ERROR = 1e-3


class Torch:
    """PyTorch in a process of its own, which waits while others are timed."""

    def __init__(self, python: str, folder: Path) -> None:
        script = Path(__file__).parent / "peers" / "integrators" / "run.py"
        command = [python, str(script), str(folder), str(os.cpu_count())]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._folder = folder

    def give(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        np.savez(self._folder / f"{name}.npz", **arrays)

    def method(self, name: str, how: str) -> Method:
        """Seconds of one step with gradient, told by the other process."""

        def run() -> float:
            assert self._process.stdin is not None and self._process.stdout is not None
            print(f"{name}\t{how}", file=self._process.stdin, flush=True)
            return float(json.loads(self._process.stdout.readline())["seconds"])

        return run

    def states(self, name: str, how: str) -> np.ndarray:
        return np.load(self._folder / f"{name}-{how.replace(' ', '_')}.npy")


def timed(run: Callable[[], object]) -> Method:
    """Seconds of a call."""

    def seconds() -> float:
        begin = time.perf_counter()
        run()
        return time.perf_counter() - begin

    return seconds


def in_turn(methods: Mapping[str, Method], *, turns: int, longest: float = 90.0) -> pd.DataFrame:
    """Seconds of every method in every turn, after one that is not counted; fewer turns if they take longer than that."""
    for name, run in methods.items():
        print(f"{name}\t{run():.3f} s at first", file=sys.stderr, flush=True)
    found, begin = [], time.monotonic()
    for _ in range(turns):
        found.append({name: run() for name, run in methods.items()})
        if time.monotonic() - begin > longest and len(found) >= 3:
            break
    return pd.DataFrame(found)


def relative_error(each: Problem, found: np.ndarray, reference: np.ndarray) -> float:
    """Of states by time, course and gene, of which the first of each group of copies is asked."""
    by_time = reference.reshape(each.n_courses, len(each.hours), -1).swapaxes(0, 1)
    return error(found, by_time)


def training_step(torch: Torch | None, turns: int) -> pd.DataFrame:
    """256 genes, 32 knockouts, days 2 to 5: the package on conditions, peers on conditions and on cells."""
    each = problem(256, 32)
    reference = exact(each)
    solver = accurate_solver(each.model, each.plan, ERROR)
    n = evaluations(each, solver)
    methods = {
        "semimech, 32 conditions": timed(step(each, solver)),
        f"products of its {n} evaluations alone": timed(products_alone(each, n)),
        "Diffrax Tsit5, 32 conditions": timed(with_diffrax(each, 1)),
        "Diffrax Tsit5, 512 cells": timed(with_diffrax(each, COPIES)),
    }
    errors = {"semimech, 32 conditions": error(states(each, solver), reference)}
    if torch is not None:
        torch.give("conditions", torch_arrays(each))
        torch.give("cells", torch_arrays(each, n_copies=COPIES))
        for how in ("dopri5", "dopri5 adjoint", "torchode"):
            methods[f"{'torchdiffeq ' * (how != 'torchode')}{how}, 32 conditions"] = torch.method("conditions", how)
            methods[f"{'torchdiffeq ' * (how != 'torchode')}{how}, 512 cells"] = torch.method("cells", how)
    found = in_turn(methods, turns=turns)
    if torch is not None:
        for how in ("dopri5", "torchode"):
            name = f"{'torchdiffeq ' * (how != 'torchode')}{how}, 32 conditions"
            errors[name] = relative_error(each, torch.states("conditions", how), reference)
    return speed_page.summary(found, "semimech, 32 conditions", errors).assign(
        solver=f"order {solver.order}, {solver.max_step:g} h"
    )


def sparse_step(torch: Torch | None, turns: int, *, n_genes: int = 5000, n_edges: int = 20) -> pd.DataFrame:
    """5,000 genes with 20 regulators, 256 knockouts, one day in steps of 12 hours: by edge, as a full matrix, and in PyTorch."""
    solver = ExponentialSolver(12.0, 2)
    ours, full = (
        problem(n_genes, 256, (24.0,), n_edges=n_edges, by_edge=by_edge, has_residual=False)
        for by_edge in (True, False)
    )
    reference = states(full, solver)
    methods = {"semimech, by edge": timed(step(ours, solver)), "semimech, full matrix": timed(step(full, solver))}
    errors = {"semimech, by edge": error(states(ours, solver), reference)}
    if torch is not None:
        torch.give("sparse", torch_arrays(ours, hours=(0.0, 12.0, 24.0)))
        methods["PyTorch CSR with a gradient of its own"] = torch.method("sparse", "exponential")
    found = in_turn(methods, turns=turns)
    if torch is not None:
        errors["PyTorch CSR with a gradient of its own"] = relative_error(
            ours, torch.states("sparse", "exponential")[-1:], reference
        )
    return speed_page.summary(found, "semimech, by edge", errors)


def steady_states(torch: Torch | None, turns: int) -> pd.DataFrame:
    """64 knockouts of 256 genes once settled: by implicit gradient, and by integrating until as close to rest."""
    settled, solver = problem(256, 64, (), has_residual=False), ExponentialSolver(24.0, 4)
    reference = exact(problem(256, 64, (24.0 * 100,), has_residual=False))
    ours = "semimech, settled"
    errors = {ours: error(states(settled, solver), reference)}
    for days in range(10, 95, 5):
        waited = problem(256, 64, (24.0 * days,), has_residual=False)
        left = error(states(waited, solver), reference)
        if left <= max(errors[ours], 1e-4):
            break
    until = f"integrated for {days} days"
    errors[f"semimech, {until}"] = left
    methods = {
        ours: timed(step(settled, solver)),
        f"semimech, {until}": timed(step(waited, solver)),
        f"Diffrax Tsit5, {until}": timed(with_diffrax(waited, 1, tolerance=1e-5)),
    }
    if torch is not None:
        torch.give("settled", torch_arrays(waited))
        methods[f"torchdiffeq dopri5, {until}"] = torch.method("settled", "dopri5")
    found = in_turn(methods, turns=turns)
    if torch is not None:
        errors[f"torchdiffeq dopri5, {until}"] = relative_error(waited, torch.states("settled", "dopri5"), reference)
    return speed_page.summary(found, ours, errors)


def growth(turns: int) -> pd.DataFrame:
    """Seconds of a step as one size grows and the others stay."""
    solver, rows = ExponentialSolver(24.0, 2), []
    sizes = {
        "genes, full matrix": [(n, problem(n, 64)) for n in (64, 128, 256, 512, 1024)],
        "genes, 20 regulators each": [
            (n, problem(n, 64, n_edges=20, has_residual=False)) for n in (1000, 2000, 4000, 8000)
        ],
        "regulators of each of 4,000 genes": [
            (k, problem(4000, 64, n_edges=k, has_residual=False)) for k in (10, 20, 40, 80)
        ],
        "conditions, 2,000 genes": [(n, problem(2000, n, n_edges=20, has_residual=False)) for n in (64, 128, 256, 512)],
        "days, 2,000 genes": [
            (d, problem(2000, 64, tuple(24.0 * (i + 1) for i in range(d)), n_edges=20, has_residual=False))
            for d in (2, 4, 8, 16)
        ],
    }
    for what, problems in sizes.items():
        found = in_turn({str(n): timed(step(each, solver)) for n, each in problems}, turns=turns)
        rows += [{"what": what, "size": int(n), "seconds": found[n].median()} for n in found]
        jax.clear_caches()
    return pd.DataFrame(rows)


def device(turns: int, out: Path) -> pd.DataFrame:
    """Steps on whatever JAX runs on, with the share of a rate of arithmetic, and their results for comparison elsewhere."""
    rows, kept = [], {}
    cases = {
        "256 genes, 32 conditions": (problem(256, 32), ExponentialSolver(12.0, 4), 0),
        "256 genes, 512 conditions": (problem(256, 256), ExponentialSolver(12.0, 4), 0),
        "1,024 genes, 512 conditions": (problem(1024, 512), ExponentialSolver(12.0, 4), 0),
        "5,000 genes, 20 regulators, by edge": (
            problem(5000, 256, (24.0,), n_edges=20, has_residual=False),
            ExponentialSolver(12.0, 2),
            20,
        ),
        "5,000 genes, 20 regulators, full matrix": (
            problem(5000, 256, (24.0,), n_edges=20, by_edge=False, has_residual=False),
            ExponentialSolver(12.0, 2),
            0,
        ),
        "256 genes, 64 settled": (problem(256, 64, (), has_residual=False), ExponentialSolver(24.0, 4), 0),
    }
    for name, (each, solver, n_edges) in cases.items():
        run = step(each, solver)
        loss, gradient = run()
        seconds = in_turn({name: timed(run)}, turns=turns)[name]
        n = evaluations(each, solver) if each.hours else 0
        rate = flops(each, n, n_edges=n_edges) / seconds.median() / 1e9 if n else np.nan
        rows.append({"what": name, "milliseconds": 1e3 * seconds.median(), "gigaflops": rate})
        slug = name.replace(" ", "_").replace(",", "")
        bias = gradient.dynamics.regulation
        bias = getattr(bias, "mechanism", bias).bias
        kept |= {f"{slug}/loss": np.asarray(loss), f"{slug}/bias": np.asarray(bias)}
        kept[f"{slug}/decay"] = np.asarray(gradient.dynamics.log_degradation)
        kept[f"{slug}/states"] = states(each, solver)[:16]
    np.savez(out.with_suffix(".npz"), **kept)
    table = pd.DataFrame(rows).assign(device=str(jax.devices()[0].device_kind))
    table.to_csv(out.with_suffix(".tsv"), sep="\t", index=False)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--torch", help="Python of an environment with the peers.")
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--quick", action="store_true", help="without growth curves")
    parser.add_argument("--device", type=Path, help="only time steps on JAX's device, into FILE.tsv and FILE.npz")
    options = parser.parse_args()
    if options.device:
        print(device(options.turns, options.device).to_string(index=False))
        return
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        torch = Torch(options.torch, Path(folder)) if options.torch else None
        tables = {
            "Training step: 256 genes, 32 conditions, days 2 to 5": training_step(torch, options.turns),
            "Sparse network: 5,000 genes × 20 regulators, 256 conditions": sparse_step(torch, options.turns),
            "Steady states: 64 conditions, 256 genes": steady_states(torch, options.turns),
        }
    curves = None if options.quick else growth(max(options.turns // 3, 3))
    machine = f"{os.cpu_count()} CPU cores ({platform.machine()}), load {os.getloadavg()[1]:.1f} over five minutes"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    speed_page.write(
        tables,
        curves,
        machine=machine,
        command=" ".join("ENVIRONMENT/bin/python" if word == options.torch else word for word in sys.argv[1:]),
        peak=peak,
        seconds=time.monotonic() - begin,
    )


if __name__ == "__main__":
    main()
