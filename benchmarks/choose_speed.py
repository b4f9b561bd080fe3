"""Time of one choice: 2,000 candidates, a batch of 20, a model of 500 genes.

``python -m benchmarks.choose_speed`` writes ``results/choose_speed.md``.
"""

from __future__ import annotations

import argparse
import platform
import time
from pathlib import Path

import jax
import numpy as np

from semimech import FitConfig, fit
from semimech.data import CellSystem, dataset_from_means, log1p_scale
from semimech.design import CandidateSpace, Goal, Limits, plan_round
from semimech.experiment import Edit
from semimech.model import PriorNetwork
from semimech.simulate import WorldRecipe, prior_network, random_world
from semimech.simulate.screen import screen_experiments

RESULTS = Path(__file__).parent / "results"
N_GENES, N_EDITS, N_CANDIDATES, BATCH = 500, 40, 2000, 20
QUICK = FitConfig(steady_state="none", sparsities=(0.02,), n_folds=2, n_steps=4, validation_steps=4, checkpoint_every=4)


def main(arguments: list[str] | None = None) -> None:
    """Run and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    world = random_world(WorldRecipe(n_genes=N_GENES, n_regulators=150), key=jax.random.key(0))
    experiments = screen_experiments([(Edit(gene=g),) for g in world.genes[:N_EDITS]], (2, 4))
    conditions = [c for e in experiments for c in e.conditions.values()]
    rng = np.random.default_rng(0)
    mean = np.log1p(world.kinetics.expression) + 0.1 * rng.standard_normal((len(conditions), N_GENES))
    data = dataset_from_means(
        world.genes,
        conditions,
        np.maximum(mean, 0.01),
        scale=log1p_scale(),
        standard_error=np.full(mean.shape, 0.1),
        system=CellSystem(name="speed"),
    )
    prior = PriorNetwork(edges=prior_network(world, key=jax.random.key(1)), use="mask")
    model = fit(data, QUICK, prior=prior)  # how good it is does not matter for how long a choice takes
    space = CandidateSpace(genes=world.genes, hours=(48.0, 96.0), n_genes=2)
    able = space.conditions(most=N_CANDIDATES, seed=0, but=data.conditions)
    limits = Limits(batch=BATCH)
    target = np.asarray(model.fit.control) * 1.1
    goal = Goal(columns=tuple(range(50)), wanted=target[:50], start=np.asarray(model.fit.control)[:50])

    tasks = {
        "expected error": lambda: plan_round(model, able, limits, criterion="error"),
        "information": lambda: plan_round(model, able, limits, criterion="information"),
        "goal": lambda: plan_round(model, able, limits, criterion=goal),
        "lessons": lambda: plan_round(model, able, limits, criterion="lessons", prior=prior),
    }
    lines = [
        "# How long does one choice take?",
        "",
        f"- {time.strftime('%Y-%m-%d')}; {platform.machine()}, 2 cores shared with other work. Command: `python -m benchmarks.choose_speed`; seed 0.",
        f"- {len(able)} candidates (single edits, and pairs drawn at random, at two times), a batch of {BATCH}, a model of {N_GENES} genes with {QUICK.n_members} members, masked wiring.",
        "",
        "| criterion | seconds |",
        "|---|---|",
    ]
    slowest = 0.0
    for name, task in tasks.items():
        began = time.perf_counter()
        task()
        seconds = time.perf_counter() - began
        slowest = max(slowest, seconds)
        lines.append(f"| {name} | {seconds:.1f} |")
        print(lines[-1], flush=True)
    lines += [
        "",
        f"The slowest took {slowest:.1f} s; the target of 60 s is {'reached' if slowest <= 60 else 'missed'}. The first compiles the programs of the others.",
    ]
    (given.out / "choose_speed.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
