"""Screens in hosts: guides that drift and are selected, and the cells that survived."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import anndata as ad
import jax
import numpy as np
import pandas as pd
from jaxtyping import Float, PRNGKeyArray

from semimech._files import replacing
from semimech.experiment import CONTROL, Condition
from semimech.simulate._random import generator
from semimech.simulate.describe import describe_truth
from semimech.simulate.graft import Graft
from semimech.simulate.kinetics import advance
from semimech.simulate.measurement import draw_batches, expected_log1p
from semimech.simulate.population import CHUNK, stationary_cells
from semimech.simulate.screen import ScreenDesign, measure, write_screen
from semimech.simulate.truth import true_values
from semimech.simulate.world import World

NEUTRAL = "non-targeting"
_STEP_HOURS = 6.0
"""Growth is summed over steps of at most this."""
_CONCENTRATION = 8.0
"""Of the beta law of guides' efficacies."""


@dataclass(frozen=True, kw_only=True)
class InVivo:
    """A screen in hosts.

    Parameters
    ----------
    cells
        The cells that were sequenced, as of `simulate_screen`; animals are the batches. ``uns["truth"]`` has what cells would be without selection (``observed``), what survivors are (``survivors``), the
        expected ``log_fold`` of a founder of each condition, ``growth_weight``, ``effective_founders`` of an animal, and the ``guides`` with their efficacy and share of the pool.
    guides
        Reads of each guide: ``sgRNA``, ``gene``, a column per sample.
    samples
        Sample sheet: ``sample``, ``role``, ``hours``, ``animal``, ``tissue``.
    """

    cells: ad.AnnData
    guides: pd.DataFrame
    samples: pd.DataFrame


@dataclass(frozen=True, kw_only=True)
class _Lives:
    """Cells of one condition: relative abundances, and the integral of their growth."""

    mrna: Float[np.ndarray, "gene life"]
    growth: Float[np.ndarray, " life"]

    @property
    def fold(self) -> float:
        """Expected cells for one founder."""
        return float(np.exp(self.growth).mean())

    @property
    def chance(self) -> np.ndarray:
        """Share of each life among survivors."""
        weight = np.exp(self.growth - self.growth.max())
        return weight / weight.sum()


def simulate_in_vivo(world: World, design: ScreenDesign, *, n_truth_cells: int = 128, key: PRNGKeyArray) -> InVivo:
    """Simulate a screen in hosts: a library of guides, a bottleneck in each animal, growth by state, and both harvests.

    Founders of a guide are a multinomial draw; their clones grow at random (exponentially distributed sizes, decided early, so that an animal's clones keep their luck) and by the state of their cells. Cells of
    a harvest are drawn by the abundance of their guide in the animal, and their state from lives of the condition weighted by growth: the cells of a clone share the abundance of
    their guide, but not more of their state than other survivors do.

    Parameters
    ----------
    world
        The cells.
    design
        With a ``graft``. Edits stand alone, at time 0; ``cells`` and ``control_cells`` say how many cells there are in all, survival says of which edits.
    n_truth_cells
        Cells behind the true means without selection.
    key
        Decides all draws.

    Raises
    ------
    ValueError
        If the design has no graft, or edits stand together or come later.
    """
    graft = design.graft
    if graft is None:
        raise ValueError("simulate_in_vivo: the design has no graft; simulate_screen simulates cells in culture")
    if any(len(c.edits) > 1 or len(c.history) > 1 for c in design.conditions):
        raise ValueError("simulate_in_vivo: edits must stand alone and be made at time 0")
    start_key, draw_key, truth_key = jax.random.split(key, 3)
    rng = generator(draw_key)
    hours = sorted({c.hours for c in design.conditions})
    lives = _follow(world, graft, design.conditions, hours, key=start_key)
    table = _guides(design, graft, rng)
    founded = rng.multinomial(graft.founders, table["share"], size=graft.animals)
    counts = {"input": rng.multinomial(graft.reads, table["share"])}
    rows = [("input", "reference", 0.0, "", "culture")]
    picked: list[pd.DataFrame] = []
    per_sample = design.n_cells // (graft.animals * len(hours))
    for animal in range(graft.animals):
        luck: np.ndarray | None = None
        for at in hours:
            control = lives[CONTROL, at]
            edited = [lives[gene if gene != NEUTRAL else CONTROL, at] for gene in table["gene"]]
            works, escaped = (table["efficacy"] * [e.fold for e in edited]), (1 - table["efficacy"]) * control.fold
            if luck is None:
                luck = _luck(founded[animal], edited, rng)
            number = founded[animal] * luck * (works + escaped).to_numpy()
            share = number / number.sum()
            name = f"animal{animal + 1}_day{at / 24:g}"
            counts[name] = rng.multinomial(graft.reads, share)
            rows.append((name, "sample", at, str(animal + 1), graft.niche))
            guide = np.repeat(np.arange(len(table)), rng.multinomial(per_sample, share))
            is_escaper = rng.random(len(guide)) < (escaped / (works + escaped)).to_numpy()[guide]
            picked.append(pd.DataFrame({"guide": guide, "hours": at, "animal": animal, "is_escaper": is_escaper}))
    cells = _harvest(world, design, lives, table, pd.concat(picked, ignore_index=True), n_truth_cells, truth_key, rng)
    cells.uns["truth"] |= {
        "growth_weight": np.array(graft.weight),
        "effective_founders": graft.founders / _spread(lives[CONTROL, hours[0]]),
        "guides": table.set_axis([str(n) for n in range(len(table))], axis=0),
        "log_fold": np.array([np.log(lives[c.perturbation, c.hours].fold) for c in design.conditions]),
    }
    guides = table[["sgRNA", "gene"]].assign(**counts)
    return InVivo(
        cells=cells, guides=guides, samples=pd.DataFrame(rows, columns=["sample", "role", "hours", "animal", "tissue"])
    )


def write_in_vivo(screen: InVivo, path: Path) -> tuple[Path, Path]:
    """Write the cells to ``path`` and both tables beside it, each whole or not at all; returns the tables' places.

    Raises
    ------
    ConfigError
        If a place cannot be written to.
    """
    write_screen(screen.cells, path)
    places = path.with_suffix(".guides.tsv"), path.with_suffix(".samples.tsv")
    for place, table in zip(places, (screen.guides, screen.samples), strict=True):
        with replacing(place) as temporary:
            table.to_csv(temporary, sep="\t", index=False)
    return places


def growth_rate(graft: Graft, mrna: Float[np.ndarray, "gene life"]) -> Float[np.ndarray, " life"]:
    """Divisions less deaths, per hour, of cells of these relative abundances."""
    return graft.rate + np.asarray(graft.weight) @ (np.log1p(mrna.astype(float)) - np.log(2.0))


def _follow(
    world: World, graft: Graft, conditions: Sequence[Condition], hours: Sequence[float], *, key: PRNGKeyArray
) -> dict[tuple[str, float], _Lives]:
    """Lives of each perturbation, followed without dividing to each time of harvest; the integral of growth by trapezoids."""
    start_key, life_key = jax.random.split(key)
    contexts = {c.perturbation: c.context for c in conditions}
    which = np.repeat(np.arange(len(contexts)), graft.lives)
    start = stationary_cells(world, len(which), key=start_key)
    effects = world.effects(list(contexts.values()))
    mrna = np.empty((len(hours), len(world.genes), len(which)), np.float32)
    growth = np.zeros((len(hours), len(which)))
    for piece, first in enumerate(range(0, len(which), CHUNK)):
        rows = np.arange(first, first + CHUNK) % len(which)
        cells = jax.tree.map(lambda part, rows=rows: part[..., rows], start)
        effect = jax.tree.map(lambda values, rows=rows: values[..., which[rows]], effects)
        total, rate = np.zeros(CHUNK), growth_rate(graft, np.asarray(cells.mrna))
        for number, (begin, end) in enumerate(zip([0.0, *hours[:-1]], hours, strict=True)):
            steps = max(int(np.ceil((end - begin) / _STEP_HOURS)), 1)
            for step in range(steps):
                step_key = jax.random.fold_in(jax.random.fold_in(jax.random.fold_in(life_key, piece), number), step)
                cells = advance(
                    world.kinetics, effect, cells, (end - begin) / steps, noise_shape=(CHUNK,), key=step_key
                )
                before, rate = rate, growth_rate(graft, np.asarray(cells.mrna))
                total += 0.5 * (before + rate) * (end - begin) / steps
            mrna[number][:, rows], growth[number, rows] = np.asarray(cells.mrna), total
    return {
        (name, at): _Lives(mrna=mrna[n][:, which == e], growth=growth[n, which == e])
        for n, at in enumerate(hours)
        for e, name in enumerate(contexts)
    }


def _guides(design: ScreenDesign, graft: Graft, rng: np.random.Generator) -> pd.DataFrame:
    """Guides with their genes, efficacies and shares of the pool."""
    genes = list(dict.fromkeys(c.perturbation for c in design.conditions if c.edits))
    names = [g for g in genes for _ in range(design.n_guides)] + [NEUTRAL] * graft.neutral_guides
    number = [n for _ in genes for n in range(design.n_guides)] + list(range(graft.neutral_guides))
    share = np.exp(graft.library_spread * rng.standard_normal(len(names)))
    mean = graft.guide_efficacy
    efficacy = rng.beta(_CONCENTRATION * mean, _CONCENTRATION * (1.0 - mean), len(names))
    return pd.DataFrame(
        {
            "sgRNA": [f"{g}_g{n + 1}" for g, n in zip(names, number, strict=True)],
            "gene": names,
            "efficacy": efficacy,
            "share": share / share.sum(),
        }
    )


def _spread(lives: _Lives) -> float:
    """Second moment of the sizes of clones over their squared mean: exponential sizes, and growth that differs."""
    weight = np.exp(lives.growth - lives.growth.max())
    return 2.0 * float((weight**2).mean() / weight.mean() ** 2)


def _luck(founded: np.ndarray, lives: Sequence[_Lives], rng: np.random.Generator) -> np.ndarray:
    """Sizes of the clones of each guide over what their founders' law expects; gamma, of the variance that exponential sizes and states give."""
    shape = np.maximum(founded, 1) / (np.array([_spread(v) for v in lives]) - 1.0)
    return rng.gamma(shape) / shape


def _harvest(
    world: World,
    design: ScreenDesign,
    lives: dict[tuple[str, float], _Lives],
    table: pd.DataFrame,
    picked: pd.DataFrame,
    n_truth_cells: int,
    key: PRNGKeyArray,
    rng: np.random.Generator,
) -> ad.AnnData:
    """The cells as they are sequenced, with the truth."""
    gene = table["gene"].to_numpy()[picked["guide"]]
    named = np.where(gene == NEUTRAL, CONTROL, gene)
    lived = np.where(picked["is_escaper"], CONTROL, named)
    states = np.empty((len(picked), len(world.genes)), np.float32)
    for (edit, at), life in lives.items():
        rows = np.flatnonzero((lived == edit) & (picked["hours"].to_numpy() == at))
        chosen = rng.choice(len(life.growth), len(rows), p=life.chance)
        states[rows] = life.mrna[:, chosen].T * world.kinetics.expression
    order = rng.permutation(len(picked))
    batch = picked["animal"].to_numpy()
    batches = draw_batches(design.measurement, int(batch.max()) + 1, len(world.genes), rng=rng)
    counts = measure(states, batch, batches, design.measurement, rng)[order]
    days = picked["hours"].to_numpy() / 24.0
    obs = pd.DataFrame(
        {
            "perturbation": pd.Categorical(named),
            "day": days.astype(int) if (days == days.astype(int)).all() else days,
            "batch": pd.Categorical([f"animal{b + 1}" for b in batch]),
            "guide": pd.Categorical(table["sgRNA"].to_numpy()[picked["guide"]]),
        }
    ).iloc[order]
    obs.index = pd.Index([f"cell{n:0{len(str(len(obs)))}d}" for n in range(1, len(obs) + 1)])
    truth = true_values(world, design.conditions, measurement=design.measurement, n_cells=n_truth_cells, key=key)
    told = describe_truth(
        world,
        truth,
        measurement=design.measurement,
        batches=batches,
        is_escaper=picked["is_escaper"].to_numpy()[order] & (named != CONTROL)[order],
    )
    survivors = []
    for condition in design.conditions:
        life = lives[condition.perturbation, condition.hours]
        shown = expected_log1p(design.measurement.cp10k(life.mrna.T * world.kinetics.expression), design.measurement)
        survivors.append(life.chance @ shown - shown.mean(axis=0))
    told["survivors"] = truth.observed + np.array(survivors)
    return ad.AnnData(
        X=counts,
        obs=obs,
        var=pd.DataFrame(index=list(world.genes)),
        layers={"counts": counts.copy()},
        uns={"truth": told},
    )
