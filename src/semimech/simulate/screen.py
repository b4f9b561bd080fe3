"""Simulated screens as they come from the sequencer: unpaired cells, UMI counts, batches, escapers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import anndata as ad
import jax
import numpy as np
import pandas as pd
import scipy.sparse as sp
from jaxtyping import Int, PRNGKeyArray

from semimech._h5ad import write_h5ad
from semimech.experiment import Condition, Context, Edit, Experiment, Harvest, Period, SetMedia, Wait
from semimech.simulate._random import generator
from semimech.simulate.describe import describe_truth
from semimech.simulate.graft import Graft
from semimech.simulate.measurement import Batches, Measurement, draw_batches, draw_libraries, sample_counts
from semimech.simulate.population import independent_cells, stationary_cells
from semimech.simulate.truth import true_values
from semimech.simulate.world import World


@dataclass(frozen=True, kw_only=True)
class ScreenDesign:
    """Which cells are made and harvested.

    Parameters
    ----------
    experiments
        What is done; each harvest is one condition, of cells of its own.
    cells
        Cells per edited condition, over all batches.
    control_cells
        Cells per unedited condition, over all batches.
    n_batches
        Batches; every condition is spread over all of them.
    n_guides
        Guides per gene, and kinds of control guide.
    escaper_share
        Share of cells that carry a guide but no edit.
    measurement
        How cells are sequenced.
    graft
        How the cells grow in hosts, see `simulate_in_vivo`; ``None`` in culture.

    Raises
    ------
    ValueError
        Listing every field outside its range.
    """

    experiments: tuple[Experiment, ...]
    cells: int = 24
    control_cells: int = 450
    n_batches: int = 3
    n_guides: int = 3
    escaper_share: float = 0.05
    measurement: Measurement = field(default_factory=Measurement)
    graft: Graft | None = None

    def __post_init__(self) -> None:
        faults = [
            f"{name} must be at least 1, got {getattr(self, name)}"
            for name in ("cells", "control_cells", "n_batches", "n_guides")
            if getattr(self, name) < 1
        ]
        if not self.experiments:
            faults.append("experiments must hold at least one experiment")
        if not 0 <= self.escaper_share < 1:
            faults.append(f"escaper_share must lie in [0, 1), got {self.escaper_share:g}")
        if faults:
            raise ValueError("ScreenDesign: " + "; ".join(faults))

    @cached_property
    def conditions(self) -> tuple[Condition, ...]:
        """The conditions harvested, each once."""
        return tuple(dict.fromkeys(c for e in self.experiments for c in e.conditions.values()))

    @property
    def sizes(self) -> tuple[int, ...]:
        """Cells of each condition."""
        return tuple(self.control_cells if c.is_control else self.cells for c in self.conditions)

    @property
    def n_cells(self) -> int:
        """Cells of all conditions."""
        return sum(self.sizes)

    @property
    def is_told_by_names(self) -> bool:
        """Whether perturbation, time and medium tell all conditions apart; several doses of one edit need more."""
        return len({(c.perturbation, c.hours, c.medium) for c in self.conditions}) == len(self.conditions)


def screen_experiments(
    perturbations: Sequence[tuple[Edit, ...]], days: Sequence[float], *, medium: str | None = None
) -> tuple[Experiment, ...]:
    """One experiment per perturbation and one of unedited cells, harvested on each day.

    Parameters
    ----------
    perturbations
        Edits made together at time 0.
    days
        Days of harvest, increasing.
    medium
        Medium from time 0 on; ``None`` is the maintenance medium.
    """
    waits = np.diff([0.0, *days]) * 24
    harvests = [
        s for day, hours in zip(days, waits, strict=True) for s in (Wait(hours=hours), Harvest(label=f"day{day:g}"))
    ]
    given = () if medium is None else (SetMedia(name=medium),)
    place = "" if medium is None else f" in {medium}"
    return tuple(
        Experiment(
            id="+".join(map(_named, edits)) + place if edits else f"control{place}", steps=(*given, *edits, *harvests)
        )
        for edits in dict.fromkeys([(), *perturbations])
    )


def _named(edit: Edit) -> str:
    """An edit in words: complete ones by their gene alone."""
    return edit.gene if edit.efficacy == 1 else f"{edit.gene} {edit.efficacy:g}"


def simulate_screen(world: World, design: ScreenDesign, *, n_truth_cells: int = 128, key: PRNGKeyArray) -> ad.AnnData:
    """Simulate a screen.

    Parameters
    ----------
    world
        The cells.
    design
        What is done with them.
    n_truth_cells
        Cells behind the true means; see `true_values`.
    key
        Decides all draws.

    Returns
    -------
    anndata.AnnData
        Counts in ``X`` and ``layers["counts"]``; ``obs`` columns ``perturbation``, ``day``, ``batch``, ``guide``, and
        ``medium`` if there are several, ``experiment`` and ``harvest`` where edits differ in efficacy; the truth in ``uns["truth"]``, see `describe_truth`.

    Raises
    ------
    ExperimentError
        If an edited gene or a medium is unknown to the world.
    ValueError
        If cells change medium, or are edited, after time 0: ``obs`` has no columns for that.
    """
    start_key, life_key, draw_key, truth_key = jax.random.split(key, 4)
    rng = generator(draw_key)
    condition, batch = allocate(design, rng)
    is_escaper = rng.random(len(condition)) < design.escaper_share
    is_escaper &= np.array([not c.is_control for c in design.conditions])[condition]
    start = stationary_cells(world, len(condition), key=start_key)
    lived = [*design.conditions, *map(unedited, design.conditions)]
    abundance = independent_cells(
        world, lived, condition + len(design.conditions) * is_escaper, start=start, key=life_key
    )
    batches = draw_batches(design.measurement, design.n_batches, len(world.genes), rng=rng)
    counts = measure(abundance, batch, batches, design.measurement, rng)
    truth = true_values(world, design.conditions, measurement=design.measurement, n_cells=n_truth_cells, key=truth_key)
    return ad.AnnData(
        X=counts,
        obs=observations(design, condition, batch, rng),
        var=pd.DataFrame(index=list(world.genes)),
        layers={"counts": counts.copy()},
        uns={
            "truth": describe_truth(
                world, truth, measurement=design.measurement, batches=batches, is_escaper=is_escaper
            )
        },
    )


def write_screen(adata: ad.AnnData, path: str | Path) -> None:
    """Write a screen to an ``.h5ad`` file, whole or not at all.

    Raises
    ------
    ConfigError
        If the place cannot be written to.
    """
    write_h5ad(adata, path, compression="gzip")


def allocate(design: ScreenDesign, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Condition and batch of each cell; every condition is spread as evenly as can be, and cells stand in random order.

    Raises
    ------
    ValueError
        If cells change medium, or are edited, after time 0: ``obs`` has no columns for that; or they are grafted.
    """
    if design.graft is not None:
        raise ValueError("the design has a graft: simulate it with simulate_in_vivo")
    late = [e.id for e in design.experiments if any(len(c.history) > 1 for c in e.conditions.values())]
    if late:
        raise ValueError(f"experiments {late} change edits or medium after time 0, which obs columns cannot tell")
    condition = np.repeat(np.arange(len(design.sizes)), design.sizes)
    batch = np.concatenate([(np.arange(size) + number) % design.n_batches for number, size in enumerate(design.sizes)])
    order = rng.permutation(len(condition))
    return condition[order], batch[order]


def unedited(condition: Condition) -> Condition:
    """What cells pass that carry the guide but no edit."""
    periods = (Period(context=Context(medium=p.context.medium), hours=p.hours) for p in condition.history)
    return Condition(history=tuple(periods))


def measure(
    abundance: np.ndarray, batch: np.ndarray, batches: Batches, measurement: Measurement, rng: np.random.Generator
) -> sp.csr_matrix:
    """Counts of cells of these abundances."""
    cp10k = measurement.cp10k(abundance * batches.gene_fold[batch])
    library = draw_libraries(measurement, len(batch), rng=rng) * batches.depth[batch]
    return sp.csr_matrix(sample_counts(cp10k, library, dispersion=measurement.dispersion, rng=rng))


def observations(
    design: ScreenDesign, condition: Int[np.ndarray, " cell"], batch: Int[np.ndarray, " cell"], rng: np.random.Generator
) -> pd.DataFrame:
    """What is noted of each cell.

    Perturbation, day, batch, guide, medium if there are several; experiment and harvest if these leave conditions apart.
    """
    cells = [design.conditions[c] for c in condition]
    guides = rng.integers(1, design.n_guides + 1, (len(cells), 2))
    days = np.array([c.hours / 24 for c in cells])
    obs = pd.DataFrame(
        {
            "perturbation": pd.Categorical([c.perturbation for c in cells]),
            "day": days.astype(int) if (days == days.astype(int)).all() else days,
            "batch": pd.Categorical([f"batch{b + 1}" for b in batch]),
            "guide": pd.Categorical([_guide(c, numbers) for c, numbers in zip(cells, guides, strict=True)]),
        },
        index=[f"cell{number:0{len(str(len(cells)))}d}" for number in range(1, len(cells) + 1)],
    )
    if not design.is_told_by_names:
        places = {c: (e.id, label) for e in reversed(design.experiments) for label, c in e.conditions.items()}
        for number, column in enumerate(("experiment", "harvest")):
            obs[column] = pd.Categorical([places[c][number] for c in cells])
    if len({c.medium for c in design.conditions}) > 1:
        obs["medium"] = pd.Categorical([c.medium or "maintenance" for c in cells])
    return obs


def _guide(condition: Condition, numbers: Int[np.ndarray, " edit"]) -> str:
    if condition.is_control:
        return f"non-targeting_g{numbers[0]}"
    return "+".join(f"{edit.gene}_g{numbers[i % len(numbers)]}" for i, edit in enumerate(condition.edits))
